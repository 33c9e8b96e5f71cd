use std::io;

fn f() {}
