def f():
    start()
    stop()
