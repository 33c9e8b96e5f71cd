retry(times=5)
