load("data/new/a.csv")
load("data/new/b.csv")
