package p

func f(err error) bool {
	return errors.Is(err, io.EOF)
}
