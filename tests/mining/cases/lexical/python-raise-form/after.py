raise OSError(text)
