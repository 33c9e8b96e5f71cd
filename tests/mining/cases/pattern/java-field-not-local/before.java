class A {
  int size;
  void f() {
    this.size = 1;
    int size = 2;
  }
}
