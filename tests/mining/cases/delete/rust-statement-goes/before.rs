fn f() {
    let a = 1;
    dbg!(a);
    g(a);
}
