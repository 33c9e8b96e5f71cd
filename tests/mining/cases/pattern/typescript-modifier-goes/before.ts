class A {
  public size = 1
}
