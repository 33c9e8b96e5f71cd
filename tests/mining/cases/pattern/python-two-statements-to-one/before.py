def f():
    a = open_it()
    a.start()
    return a
