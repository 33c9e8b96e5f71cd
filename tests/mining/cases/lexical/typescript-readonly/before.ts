class A {
  size: number = 1
}
