APPS = ['auth', 'sites', 'admin']
