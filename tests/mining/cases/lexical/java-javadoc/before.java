/** Returns the colour. */
class A {
}
