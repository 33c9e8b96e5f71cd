open_it(path, mode='r', buffering=1)
