def f(x: Optional[int]) -> None:
    go(x)
