class A {
  void f() {
    start();
    check();
    stop();
  }
}
