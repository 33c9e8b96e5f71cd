class A {
  List<String> xs = new ArrayList<>();
}
