APPS = ['auth', 'admin']
