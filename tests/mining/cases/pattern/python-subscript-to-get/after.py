v = os.environ.get('HOME')
