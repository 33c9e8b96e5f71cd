const o = Object.assign({}, base)
