function f(x: any) { return x }
