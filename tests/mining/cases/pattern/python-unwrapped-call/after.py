x = sorted(items)
