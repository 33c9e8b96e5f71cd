def f(x):
    if x == None:
        return []
    return x
