class A:
    x = f(1)
g(1)
