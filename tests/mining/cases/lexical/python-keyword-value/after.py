read(path, errors='replace')
