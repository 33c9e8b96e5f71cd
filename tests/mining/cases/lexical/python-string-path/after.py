open('/etc/app/new.conf')
