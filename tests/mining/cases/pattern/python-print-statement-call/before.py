log.warn(message)
