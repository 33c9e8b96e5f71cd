if a:
    go()
stop()
