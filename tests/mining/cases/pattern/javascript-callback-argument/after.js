fs.access(path, done)
