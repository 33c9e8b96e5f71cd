from tiny_tools import pick
import os


def f(xs):
    return pick(xs, 3)


def g(ys, n):
    return os.fspath(pick(ys, n))
