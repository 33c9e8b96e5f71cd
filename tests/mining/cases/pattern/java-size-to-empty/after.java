class A {
  boolean f(List<String> xs) {
    return xs.isEmpty();
  }
}
