total_count = load()
