class A {
  @Override
  void f() {
  }
}
