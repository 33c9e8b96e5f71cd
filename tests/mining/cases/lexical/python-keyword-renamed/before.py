open_it(path, mode='r', bufsize=1)
