probe(a).isNull();
probe(b).not.isNull();
probe(c).hasSize(2);
probe(d).contains(e);
