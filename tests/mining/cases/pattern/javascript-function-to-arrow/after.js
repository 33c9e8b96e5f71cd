xs.map((x) => x.id)
