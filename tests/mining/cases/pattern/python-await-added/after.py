async def f():
    x = await client.fetch(url)
