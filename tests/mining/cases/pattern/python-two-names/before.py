def pull(link):
    try:
        return link.recv()
    finally:
        link.shut()
