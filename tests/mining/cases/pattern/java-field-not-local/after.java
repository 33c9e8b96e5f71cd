class A {
  int size;
  void f() {
    this.length = 1;
    int size = 2;
  }
}
