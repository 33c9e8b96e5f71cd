package p

var a = f(1)

func g() {
	f(1)
}
