class A:
    x = f(1)
f(1)
