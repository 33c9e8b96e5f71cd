data = open(name).read()
