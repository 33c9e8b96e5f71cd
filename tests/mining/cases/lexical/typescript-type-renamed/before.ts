let x: Foo = make()
