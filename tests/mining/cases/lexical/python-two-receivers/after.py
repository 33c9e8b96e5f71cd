first.close()
second.close()
