@cached
@slow_path
def f():
    pass
