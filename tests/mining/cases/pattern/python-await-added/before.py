async def f():
    x = client.fetch(url)
