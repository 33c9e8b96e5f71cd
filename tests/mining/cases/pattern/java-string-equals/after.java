class A {
  boolean f(String s) {
    return s.isEmpty();
  }
}
