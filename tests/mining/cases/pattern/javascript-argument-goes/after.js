send(a, b);
