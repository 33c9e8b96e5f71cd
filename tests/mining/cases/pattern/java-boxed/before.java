class A {
  Integer x = new Integer(3);
}
