try:
    go()
except IOError:
    pass
