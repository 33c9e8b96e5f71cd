s.match(/a b/gi);
