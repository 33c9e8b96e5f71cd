run(kind=1)
mode = 2
