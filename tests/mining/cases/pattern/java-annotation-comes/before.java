class A {
  public String toString() {
    return s;
  }
}
