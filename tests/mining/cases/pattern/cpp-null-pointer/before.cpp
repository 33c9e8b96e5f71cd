void f() {
    char *p = NULL;
}
