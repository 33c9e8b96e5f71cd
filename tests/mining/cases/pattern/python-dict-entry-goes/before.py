d = {'a': 1, 'legacy_key': 2, 'b': 3}
