package p

func f(n int) string {
	return fmt.Sprintf("%d", n)
}
