void f() {
    Place::nowhere(a);
}
