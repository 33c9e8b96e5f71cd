INSTALLED = ['one', 'two']
start()
