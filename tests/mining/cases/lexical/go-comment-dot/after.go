package p

// F makes it.
func F() {}
