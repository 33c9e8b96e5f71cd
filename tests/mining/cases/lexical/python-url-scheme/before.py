URL = 'http://example.org/a'
