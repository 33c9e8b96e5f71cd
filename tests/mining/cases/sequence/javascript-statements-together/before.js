var a = make();
var b = a.run();
done(b);
