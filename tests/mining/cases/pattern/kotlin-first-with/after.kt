val name = names.first { it.length > 2 }
