xs.sort(key=lambda x: x.name)
