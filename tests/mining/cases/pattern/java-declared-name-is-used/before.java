class A {
  void f() {
    Parser reader = new Parser(path);
    go();
  }
}
