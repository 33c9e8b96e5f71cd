x = os.getcwd(path)
