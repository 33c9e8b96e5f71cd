from kit.box import Box

x = Box(1)
