fun f(text: String) = text.toLowerCase()
