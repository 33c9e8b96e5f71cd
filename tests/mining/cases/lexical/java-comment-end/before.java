class A {
  // gives the tokn
  int a;
}
