def f(c):
    c.open()
    c.read()
