INSTALLED = ['one']
start()
