x = nowhere(a)
keep(x)
