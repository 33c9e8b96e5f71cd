void f(char *a) {
    strlcpy(a, b, sizeof(a));
}
