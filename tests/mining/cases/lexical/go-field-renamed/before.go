package p

func f(c C) int {
	return c.Width
}
