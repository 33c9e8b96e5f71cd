const x = <Foo>value
