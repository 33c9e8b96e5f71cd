use(Color.Red)
