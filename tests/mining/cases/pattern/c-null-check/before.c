void f(char *p) {
    if (p == NULL) go();
}
