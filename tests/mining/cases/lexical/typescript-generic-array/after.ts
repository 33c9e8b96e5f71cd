let xs: string[] = []
