class A {
  void f() {
    throw new RuntimeException("x");
  }
}
