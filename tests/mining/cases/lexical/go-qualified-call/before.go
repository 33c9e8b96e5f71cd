package p

func f() int {
	return place.Nowhere(3)
}
