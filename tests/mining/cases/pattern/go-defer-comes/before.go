package p

func f() {
	f := open(a)
	use(f)
}
