package p

func f() {
	ioutil.ReadAll(r)
}
