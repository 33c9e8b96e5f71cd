/** Returns the color. */
class A {
}
