class A {
  Integer x = Integer.valueOf(3);
}
