package p

func f() {
	f := open(a)
	defer f.Close()
	use(f)
}
