"""How fast this machine multiplies matrices: `multiply.py ROWS WIDE NARROW THREADS SECONDS` prints JSON."""

import json
import sys
import time


def rate(dtype: str, rows: int, wide: int, narrow: int, seconds: float) -> float:
    """GFLOP a second, of products `[rows, wide] @ [wide, narrow]`."""
    import torch

    a = torch.randn(rows, wide).to(getattr(torch, dtype))
    b = torch.randn(wide, narrow).to(getattr(torch, dtype))
    a @ b
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        n += 1
    return 2e-9 * rows * wide * narrow * n / (time.perf_counter() - start)


def main() -> None:
    """Print the rates of float32 and bfloat16, each measured in half of the time."""
    import torch

    rows, wide, narrow, threads = map(int, sys.argv[1:5])
    torch.set_num_threads(threads)
    half = float(sys.argv[5]) / 2
    found = {name: rate(name, rows, wide, narrow, half) for name in ("float32", "bfloat16")}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
