if not items:
    go()
