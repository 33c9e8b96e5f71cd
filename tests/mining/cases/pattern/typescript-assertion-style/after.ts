const x = value as Foo
