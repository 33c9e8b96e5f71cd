sleep(60)
