@pytest.mark.slow
def test_a():
    go()
