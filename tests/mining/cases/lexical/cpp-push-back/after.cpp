void f() {
    v.emplace_back(x);
}
