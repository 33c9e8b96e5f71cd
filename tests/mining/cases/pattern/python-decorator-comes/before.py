def test_a():
    go()
