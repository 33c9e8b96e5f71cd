use(event.keyCode)
