def f():
    a = started()
    return a
