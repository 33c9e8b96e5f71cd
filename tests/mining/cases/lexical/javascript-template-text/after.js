const s = `hello ${name}, welcome`
