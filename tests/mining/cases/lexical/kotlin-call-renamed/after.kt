fun f(text: String) = text.lowercase()
