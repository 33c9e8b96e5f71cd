class A {
  void f() {
    start();
    dumpState(1);
    stop();
  }
}
