class A {
    @JvmStatic
    fun f() = 1
}
