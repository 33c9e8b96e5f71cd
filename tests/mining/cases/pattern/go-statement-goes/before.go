package p

func f() {
	start()
	log.Debug(x)
	stop()
}
