def save(path, text, mode='w'):
    write(path, text)
