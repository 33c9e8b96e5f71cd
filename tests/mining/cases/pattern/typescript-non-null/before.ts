const x = map.get(k)!
