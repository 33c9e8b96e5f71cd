g(1)
f(a)
