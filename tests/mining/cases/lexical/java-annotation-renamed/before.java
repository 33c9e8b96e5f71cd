class A {
  @Before
  void f() {
    go();
  }
}
