class A {
  void f() {
    Place.sample(a);
    other(b);
  }
}
