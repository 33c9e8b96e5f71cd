self.assertTrue(a in b)
