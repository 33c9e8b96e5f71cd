fun f(name: String?) = if (name != null) name else "none"
