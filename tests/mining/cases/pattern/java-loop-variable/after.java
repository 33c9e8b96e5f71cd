class A {
  void f() {
    var m = make();
    use(m);
  }
}
