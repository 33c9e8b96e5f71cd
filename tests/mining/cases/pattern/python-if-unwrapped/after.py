run(a)
stop()
