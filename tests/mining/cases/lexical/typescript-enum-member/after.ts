use(Color.Crimson)
