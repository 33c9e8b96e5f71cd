const xs = []
