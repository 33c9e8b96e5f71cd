def pull(link):
    try:
        return link.arecv()
    finally:
        link.ashut()
