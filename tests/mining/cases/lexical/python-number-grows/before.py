sleep(30)
