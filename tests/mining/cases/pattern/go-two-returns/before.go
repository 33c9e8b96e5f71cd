package p

func f() error {
	err := g()
	return err
}
