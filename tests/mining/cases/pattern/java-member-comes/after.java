class Box {
  int a;
  int b;
}
