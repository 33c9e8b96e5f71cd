// TODO: rename
fn f() {}
