const y = Math.pow(x, 2)
