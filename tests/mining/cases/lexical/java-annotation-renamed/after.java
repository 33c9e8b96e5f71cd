class A {
  @BeforeEach
  void f() {
    go();
  }
}
