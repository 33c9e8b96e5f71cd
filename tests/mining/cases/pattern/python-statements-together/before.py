def f():
    a = open_it()
    b = a.read()
    a.close()
    return b
