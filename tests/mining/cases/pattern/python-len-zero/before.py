if len(items) == 0:
    go()
