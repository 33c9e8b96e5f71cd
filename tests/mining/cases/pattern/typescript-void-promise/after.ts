void save(item)
