package p

var a = f(1)

func g() {
	h(1)
}
