class A {
  String s = Charsets.UTF_8;
}
