if not (a == b):
    go()
