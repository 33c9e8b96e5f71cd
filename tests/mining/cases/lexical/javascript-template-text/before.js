const s = `hello ${name}, welcom`
