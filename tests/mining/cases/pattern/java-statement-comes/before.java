class A {
  void f() {
    start();
    stop();
  }
}
