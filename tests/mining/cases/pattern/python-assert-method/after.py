self.assertIn(a, b)
