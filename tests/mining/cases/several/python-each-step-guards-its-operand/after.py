p = q[0]
r = s.last
