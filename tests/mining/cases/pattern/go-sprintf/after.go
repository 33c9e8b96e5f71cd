package p

func f(n int) string {
	return strconv.Itoa(n)
}
