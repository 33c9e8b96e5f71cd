#[inline]
fn f() {}
