if x is None:
    go()
