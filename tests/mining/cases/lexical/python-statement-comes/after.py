def f():
    start()
    check()
    stop()
