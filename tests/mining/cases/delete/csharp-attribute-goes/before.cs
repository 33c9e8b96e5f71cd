class A {
    [Obsolete]
    void F() { }
}
