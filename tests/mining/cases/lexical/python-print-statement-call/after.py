log.warning(message)
