def f():
    """Give the colour.

    Of all.
    """
