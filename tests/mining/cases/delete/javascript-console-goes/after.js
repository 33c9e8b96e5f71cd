function f() {
  start()
  stop()
}
