level(one)
level(2)
