class A {
  void a() {
  }

  void legacy() {
    x();
  }

  void b() {
  }
}
