"""`apply` and `edit --like` over a whole folder, beside `ast-grep scan` of the same rule on the same files.

    python benchmarks/bench_apply.py [FOLDER] [--rounds 5]

FOLDER is Python code; by default the running Python's standard library. Two rules: one whose call is in few
files and one whose call is in a tenth of them. Nothing is written. Each round runs the commands one after the
other; printed are medians of the rounds, with the smallest and the largest: processor seconds (user and
system, all processes), and the peak of memory (proportional set size, summed over the processes, looked at
every 50 ms), each also as a ratio to the scan of that round.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from operator import truediv
from pathlib import Path
from typing import Final

import psutil
from ast_grep_py import SgRoot

from rulewright import console
from rulewright.engine import cli

LOOK_EVERY_S: Final = 0.05
FEW: Final = (2, 5)
"""Files that a rare call is in, at least and at most."""
WIDE: Final = 0.1
"""Share of the files that a wide call is in, about."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or library(Path(scratch, "library"))
        files = sorted(folder.rglob("*.py"))
        where = counted(files)
        rare = min(name for name, n in where.items() if FEW[0] <= n <= FEW[1])
        wide = min(where, key=lambda name: (abs(where[name] - len(files) * WIDE), name))
        commands: dict[str, list[str]] = {}
        for sort, name in (("rare", rare), ("wide", wide)):
            rule, old, new = (Path(scratch, f"{sort}{end}") for end in (".yml", "_old.py", "_new.py"))
            rule.write_text(f"id: r\nlanguage: Python\nrule:\n  pattern: {name}($$$A)\nfix: {name}_($$$A)\n")
            old.write_text(f"{name}(x, 1)\n")
            new.write_text(f"{name}_(x, 1)\n")
            rulewright = [sys.executable, "-m", "rulewright"]
            commands |= {
                f"ast-grep scan, {sort}": [cli.binary(), "scan", "--rule", str(rule), "--json=stream"],
                f"apply, {sort}": [*rulewright, "apply", str(rule), "--json"],
                f"edit --like, {sort}": [*rulewright, "edit", "--like", str(old), str(new)],
            }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, argv in commands.items():
                runs[name].append(cost([*argv, str(folder)]))
    rows = []
    for name, costs in runs.items():
        beside = runs[f"ast-grep scan, {name.rsplit(' ', 1)[1]}"]
        ratios = [tuple(map(truediv, ours, theirs)) for ours, theirs in zip(costs, beside, strict=True)]
        figures = (*zip(*costs, strict=True), *zip(*ratios, strict=True))
        rows.append((name, *map(spread, figures)))
    console.emit(f"{len(files):,} files; rare: {rare} in {where[rare]}, wide: {wide} in {where[wide]}")
    console.emit(console.table(("command", "CPU s", "peak MB", "CPU ratio", "memory ratio"), rows))
    return 0


def library(copy: Path) -> Path:
    """A copy of the standard library, without what was installed into it."""
    ignored = shutil.ignore_patterns("site-packages", "__pycache__")
    return Path(shutil.copytree(sysconfig.get_paths()["stdlib"], copy, ignore=ignored))


def counted(files: list[Path]) -> Counter[str]:
    """In how many of the files each plain name is called."""
    found: Counter[str] = Counter()
    for path in files:
        calls = SgRoot(path.read_bytes().decode("utf-8", "replace"), "python").root().find_all(kind="call")
        functions = {call.field("function") for call in calls}
        found.update({f.text() for f in functions if f is not None and f.kind() == "identifier"})
    return found


def cost(argv: list[str]) -> tuple[float, float]:
    """Run a command to its end: its processor seconds, and its peak of memory in MB.

    Raises:
        RuntimeError: it could not do its work (an exit code above 1).
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = 0
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=words) as running,
    ):
        process = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, held(process))
            time.sleep(LOOK_EVERY_S)
        words.seek(0)
        said = words.read()
    if running.returncode > 1:
        raise RuntimeError(f"{argv}: {said.decode()[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak / 1e6


def held(process: psutil.Process) -> int:
    """Bytes of memory that a process and those below it hold now; 0 where one of them just ended."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return total


def spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
