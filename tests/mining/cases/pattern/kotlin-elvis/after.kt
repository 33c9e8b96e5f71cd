fun f(name: String?) = name ?: "none"
