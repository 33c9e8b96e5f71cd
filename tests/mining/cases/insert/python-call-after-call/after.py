def f(c):
    c.open()
    c.check()
    c.read()
