async function f() {
  const x = load(1)
}
