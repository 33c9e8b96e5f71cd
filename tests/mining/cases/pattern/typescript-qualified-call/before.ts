const p = Place.nowhere(a)
q.other()
