run(mode=1)
mode = 2
