xs.sort(key=attrgetter('name'))
