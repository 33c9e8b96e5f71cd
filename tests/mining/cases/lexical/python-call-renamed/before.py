x = os.getcwdu(path)
