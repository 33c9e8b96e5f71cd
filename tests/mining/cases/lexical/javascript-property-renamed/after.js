use(event.key)
