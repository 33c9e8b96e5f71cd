void f() {
    auto p = std::unique_ptr<Box>(new Box(1));
}
