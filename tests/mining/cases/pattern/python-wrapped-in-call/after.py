for k in list(d.keys()):
    go(k)
