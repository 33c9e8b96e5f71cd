retry(times=3)
