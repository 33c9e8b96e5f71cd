def f():
    """Recieve the mesage."""
