package p

func f(err error) bool {
	return err == io.EOF
}
