package p

func f() {
	io.ReadAll(r)
}
