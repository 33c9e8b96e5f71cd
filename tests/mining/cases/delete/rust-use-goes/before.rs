use std::io;
use std::legacy;

fn f() {}
