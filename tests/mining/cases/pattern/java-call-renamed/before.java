class A {
  void f() {
    Thread.stopNow(t);
  }
}
