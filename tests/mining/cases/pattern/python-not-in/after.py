if key not in table:
    go()
