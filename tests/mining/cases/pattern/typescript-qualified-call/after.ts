const p = Place.sample(a)
q.other()
