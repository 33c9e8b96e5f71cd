const total = 1
