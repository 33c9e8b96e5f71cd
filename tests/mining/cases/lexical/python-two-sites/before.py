a = time.clock()
b = time.clock()
work(a, b)
