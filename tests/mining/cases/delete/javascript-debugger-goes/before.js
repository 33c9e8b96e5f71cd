start()
debugger
stop()
