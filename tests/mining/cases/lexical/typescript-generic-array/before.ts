let xs: Array<string> = []
