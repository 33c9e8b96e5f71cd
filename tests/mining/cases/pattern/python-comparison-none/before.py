if x == None:
    go()
