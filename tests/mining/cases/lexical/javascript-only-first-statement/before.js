start();
run(a);
run(b);
