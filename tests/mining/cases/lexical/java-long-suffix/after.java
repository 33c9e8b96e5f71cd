class A {
  long x = 10L;
}
