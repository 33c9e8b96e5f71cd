connect(host, port, use_legacy=True)
