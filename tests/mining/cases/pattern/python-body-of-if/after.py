def f(x):
    if x is None:
        return []
    return x
