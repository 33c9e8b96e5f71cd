"""Run `main.py` under coverage, then write what it did not reach to `report.txt`."""

# ruff: noqa: PTH123

import subprocess
import sys


def main() -> int:
    """The exit code of the report; 1 where the program fails."""
    cover = [sys.executable, "-m", "coverage"]
    nothing = subprocess.DEVNULL
    run = [*cover, "run", "--data-file=.cov", "main.py"]
    if subprocess.run(run, stdin=nothing, stdout=nothing, stderr=nothing).returncode != 0:
        return 1
    with open("report.txt", "wb") as report:
        return subprocess.run([*cover, "report", "-m", "--data-file=.cov"], stdout=report).returncode


if __name__ == "__main__":
    sys.exit(main())
