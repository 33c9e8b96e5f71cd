var total = 1
