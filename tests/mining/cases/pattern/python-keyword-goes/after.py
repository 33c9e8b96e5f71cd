connect(host, port)
