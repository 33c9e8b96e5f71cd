const s = 'a' + name
