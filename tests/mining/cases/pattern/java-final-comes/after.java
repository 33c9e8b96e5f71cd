class A {
  private final String s = make();
}
