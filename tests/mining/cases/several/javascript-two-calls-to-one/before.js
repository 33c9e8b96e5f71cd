init(a);
start(a);
wait();
