show(await load(url))
