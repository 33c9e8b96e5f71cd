x = 1
# pylint: disable=all
y = 2
