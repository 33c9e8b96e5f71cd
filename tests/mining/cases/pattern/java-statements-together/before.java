class A {
  void f() {
    Writer w = open();
    w.write(s);
    w.close();
  }
}
