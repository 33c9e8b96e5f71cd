if not key in table:
    go()
