class A {
  void f() throws IOException {
    go();
  }
}
