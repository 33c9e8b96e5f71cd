def f(x: int | None) -> None:
    go(x)
