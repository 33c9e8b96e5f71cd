void f(void) {
    memset(buffer, 0, size);
}
