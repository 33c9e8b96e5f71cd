void f(char *p) {
    if (!p) go();
}
