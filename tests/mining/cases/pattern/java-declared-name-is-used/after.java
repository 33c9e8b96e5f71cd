class A {
  void f() {
    Parser reader = new Parser(path);
    reader.harden();
    go();
  }
}
