function size(x: string) {
  return 1
}
