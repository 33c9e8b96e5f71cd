class A(object):
    size = 1
