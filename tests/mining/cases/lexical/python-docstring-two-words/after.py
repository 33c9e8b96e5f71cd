def f():
    """Receive the message."""
