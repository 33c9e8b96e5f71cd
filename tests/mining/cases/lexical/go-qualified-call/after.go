package p

func f() int {
	return place.Sample(3)
}
