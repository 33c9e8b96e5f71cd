let x = a ? a : b
