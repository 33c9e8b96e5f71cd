try:
    go()
except OSError:
    pass
