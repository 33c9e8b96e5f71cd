xs.map(function (x) { return x.id })
