const b = make().run();
done(b);
