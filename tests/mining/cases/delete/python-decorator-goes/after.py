@cached
def f():
    pass
