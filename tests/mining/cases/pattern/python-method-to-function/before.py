d.has_key(name)
