for k in d.keys():
    go(k)
