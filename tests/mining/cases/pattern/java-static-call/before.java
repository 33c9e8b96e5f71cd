class A {
  void f() {
    Place.nowhere(a);
    other(b);
  }
}
