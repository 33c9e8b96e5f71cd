class A {
  boolean f(List<String> xs) {
    return xs.size() == 0;
  }
}
