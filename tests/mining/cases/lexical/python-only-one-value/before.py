level(1)
level(2)
