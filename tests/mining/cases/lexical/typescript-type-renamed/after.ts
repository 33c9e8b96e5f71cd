let x: Bar = make()
