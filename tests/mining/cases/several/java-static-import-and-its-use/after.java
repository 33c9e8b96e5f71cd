import a.Lists;

class A {
  List f() {
    return Lists.of();
  }
}
