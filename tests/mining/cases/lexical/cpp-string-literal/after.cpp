const char *s = "utf-8 text";
