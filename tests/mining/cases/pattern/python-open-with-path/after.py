data = Path(name).read_text()
