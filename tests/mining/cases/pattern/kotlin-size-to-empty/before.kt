fun f(items: List<Int>) {
    if (items.size == 0) return
    g(items)
}
