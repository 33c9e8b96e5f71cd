async function f() {
  const x = await load(1)
}
