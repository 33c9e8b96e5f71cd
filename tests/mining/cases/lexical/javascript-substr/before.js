const s = text.substr(0, 3)
