class A {
  String s = "old name here";
}
