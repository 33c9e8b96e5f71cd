package p

func f() error {
	return g()
}
