package p

func f() error {
	return errors.Wrap(err, "read")
}
