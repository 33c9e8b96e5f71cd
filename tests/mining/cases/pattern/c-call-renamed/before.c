void f(void) {
    bzero(buffer, size);
}
