def a():
    pass


def old_helper():
    return 1


def b():
    pass
