x = a.b in c
