class Box {
  int a;
}
