import a.New;

class A {
  New x = make();
}
