const xs = new Array()
