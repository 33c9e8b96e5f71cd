run(a);
wait();
