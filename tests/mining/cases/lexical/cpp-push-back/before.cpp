void f() {
    v.push_back(x);
}
