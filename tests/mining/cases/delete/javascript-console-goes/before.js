function f() {
  start()
  console.log(1)
  stop()
}
