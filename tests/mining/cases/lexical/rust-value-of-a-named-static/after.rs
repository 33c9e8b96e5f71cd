static KEEP: bool = false;
