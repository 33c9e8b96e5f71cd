run(1);
