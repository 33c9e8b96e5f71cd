name in d
