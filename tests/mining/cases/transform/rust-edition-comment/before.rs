// TODO(ann): rename
fn f() {}
