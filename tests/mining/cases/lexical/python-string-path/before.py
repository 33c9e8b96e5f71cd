open('/etc/app/old.conf')
