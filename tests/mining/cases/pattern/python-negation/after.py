if a != b:
    go()
