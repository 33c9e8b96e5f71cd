const o = { a: 1, legacyKey: 2, b: 3 }
