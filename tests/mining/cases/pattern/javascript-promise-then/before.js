load(url).then(show)
