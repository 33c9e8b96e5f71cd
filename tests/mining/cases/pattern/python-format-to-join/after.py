s = sep.join(str(v) for v in values)
