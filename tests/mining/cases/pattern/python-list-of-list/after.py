names = [first, last]
