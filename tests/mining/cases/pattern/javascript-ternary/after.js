let x = a || b
