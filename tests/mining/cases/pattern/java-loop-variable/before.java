class A {
  void f() {
    Map<String, String> m = make();
    use(m);
  }
}
