class A {
  String s = StandardCharsets.UTF_8;
}
