APPS = ['auth', 'legacy_app', 'admin']
