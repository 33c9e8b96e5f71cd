static KEEP: bool = true;
