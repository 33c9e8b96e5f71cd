# the colour of it
x = 1
