const s = text.substring(0, 3)
