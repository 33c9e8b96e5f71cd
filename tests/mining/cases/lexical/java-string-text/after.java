class A {
  String s = "new name here";
}
