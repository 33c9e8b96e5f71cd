fn f() {
    read_to_string(a);
}
