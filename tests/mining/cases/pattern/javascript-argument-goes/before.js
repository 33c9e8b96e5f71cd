send(a, { old: true }, b);
