emit('a')
write(b)
