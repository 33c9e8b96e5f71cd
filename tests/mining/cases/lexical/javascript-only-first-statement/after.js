start();
go(a);
run(b);
