class A {
  void f() {
    Thread.interrupt(t);
  }
}
