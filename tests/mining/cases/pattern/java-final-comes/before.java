class A {
  private String s = make();
}
