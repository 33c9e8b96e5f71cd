import a.Old;

class A {
  Old x = make();
}
