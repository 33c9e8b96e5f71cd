x = list(sorted(items))
