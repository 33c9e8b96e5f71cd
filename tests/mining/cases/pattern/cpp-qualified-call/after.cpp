void f() {
    Place::sample(a);
}
