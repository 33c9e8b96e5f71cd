void f() {
    char *p = nullptr;
}
