p = first(q)
r = second(s)
