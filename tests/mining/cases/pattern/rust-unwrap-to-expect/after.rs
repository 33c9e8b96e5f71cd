fn f() {
    go(a).expect("go");
}
