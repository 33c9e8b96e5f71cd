if isinstance(x, str):
    go()
