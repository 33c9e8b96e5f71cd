if (xs.indexOf(x) !== -1) go()
