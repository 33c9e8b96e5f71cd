if type(x) == str:
    go()
