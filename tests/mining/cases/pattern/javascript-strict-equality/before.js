if (a == b) go()
