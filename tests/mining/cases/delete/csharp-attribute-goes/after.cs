class A {
    void F() { }
}
