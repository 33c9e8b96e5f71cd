read(path, errors='strict')
