class A {
  long x = 10l;
}
