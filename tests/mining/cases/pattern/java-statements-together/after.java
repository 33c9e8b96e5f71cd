class A {
  void f() {
    try (Writer w = open()) {
      w.write(s);
    }
  }
}
