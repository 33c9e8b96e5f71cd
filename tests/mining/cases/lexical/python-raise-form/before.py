raise IOError(text)
