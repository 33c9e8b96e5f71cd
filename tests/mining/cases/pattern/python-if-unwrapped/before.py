if DEBUG:
    run(a)
stop()
