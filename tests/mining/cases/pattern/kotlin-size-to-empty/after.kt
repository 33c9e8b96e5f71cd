fun f(items: List<Int>) {
    if (items.isEmpty()) return
    g(items)
}
