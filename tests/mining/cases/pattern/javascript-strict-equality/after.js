if (a === b) go()
