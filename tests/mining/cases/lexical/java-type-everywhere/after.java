class A {
  Gadget w = new Gadget();
  Gadget f(Gadget x) {
    return x;
  }
}
