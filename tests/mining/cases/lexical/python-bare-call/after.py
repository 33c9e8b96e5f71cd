x = sample(a)
keep(x)
