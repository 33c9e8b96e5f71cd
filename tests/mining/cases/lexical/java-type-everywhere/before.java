class A {
  Widget w = new Widget();
  Widget f(Widget x) {
    return x;
  }
}
