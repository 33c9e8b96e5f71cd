a = time.perf_counter()
b = time.perf_counter()
work(a, b)
