v = os.environ['HOME']
