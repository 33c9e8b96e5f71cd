const char *s = "utf8 text";
