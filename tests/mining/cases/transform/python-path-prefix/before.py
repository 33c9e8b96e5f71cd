load("data/raw/a.csv")
load("data/raw/b.csv")
