out = [go(x) for x in xs]
