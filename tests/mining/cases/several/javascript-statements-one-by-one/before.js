probe(a).is.same(null);
probe(b).is.not.same(null);
probe(c).has.size(2);
probe(d).has.part(e);
