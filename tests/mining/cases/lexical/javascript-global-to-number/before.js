if (isNaN(x)) go()
