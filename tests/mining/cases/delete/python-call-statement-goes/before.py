def f():
    start()
    debug_dump(1)
    stop()
