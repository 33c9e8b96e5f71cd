# the color of it
x = 1
