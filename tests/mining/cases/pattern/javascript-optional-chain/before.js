const n = a && a.b
