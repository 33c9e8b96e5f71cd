if (Number.isNaN(x)) go()
