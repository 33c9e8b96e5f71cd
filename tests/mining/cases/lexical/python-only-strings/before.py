write('a')
write(b)
