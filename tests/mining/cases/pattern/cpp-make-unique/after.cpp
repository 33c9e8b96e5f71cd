void f() {
    auto p = std::make_unique<Box>(1);
}
