def f():
    """Give the color.

    Of all.
    """
