def save(path, text):
    write(path, text)
