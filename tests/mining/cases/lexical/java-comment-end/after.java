class A {
  // gives the token
  int a;
}
