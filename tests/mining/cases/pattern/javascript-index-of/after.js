if (xs.includes(x)) go()
