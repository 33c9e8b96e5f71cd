fn f() {
    let a = 1;
    g(a);
}
