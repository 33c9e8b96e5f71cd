from kit.forms import Box

x = Box(1)
