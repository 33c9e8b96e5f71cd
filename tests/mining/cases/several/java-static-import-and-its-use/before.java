import static a.Names.EMPTY;

class A {
  List f() {
    return EMPTY;
  }
}
