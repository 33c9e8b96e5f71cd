x = f"{a}: empty"
