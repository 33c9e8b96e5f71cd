fs.exists(path, done)
