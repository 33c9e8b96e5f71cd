if a:
    go()
else:
    pass
stop()
