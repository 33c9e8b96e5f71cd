package p

func f() {
	start()
	stop()
}
