class A {
  void f() {
    throw new IllegalStateException("x");
  }
}
