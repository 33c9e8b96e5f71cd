def f():
    with open_it() as a:
        b = a.read()
    return b
