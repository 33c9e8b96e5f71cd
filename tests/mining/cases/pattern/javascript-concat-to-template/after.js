const s = `a${name}`
