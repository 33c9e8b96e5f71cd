save(item)
