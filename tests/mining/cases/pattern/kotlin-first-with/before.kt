val name = names.filter { it.length > 2 }.first()
