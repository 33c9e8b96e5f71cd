URL = 'https://example.org/a'
