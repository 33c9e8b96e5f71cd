fn f() {
    read_to_str(a);
}
