function f(x: unknown) { return x }
