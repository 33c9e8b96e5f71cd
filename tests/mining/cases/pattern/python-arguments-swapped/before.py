assertEquals(total, 3)
