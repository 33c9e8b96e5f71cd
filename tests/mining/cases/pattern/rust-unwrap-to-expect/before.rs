fn f() {
    go(a).unwrap();
}
