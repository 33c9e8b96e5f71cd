total_number = load()
