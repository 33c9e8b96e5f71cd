class A {
  readonly size: number = 1
}
