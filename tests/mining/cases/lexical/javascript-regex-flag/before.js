s.match(/a b/g);
