"""What mining an edit costs: run with `pytest benchmarks/bench_mining.py --benchmark-only -s`.

Prints one table: processor seconds an edit, by the size of the file and the sort of change, and the
growth of the process over many edits. The texts are files of this machine's standard library.
"""

from __future__ import annotations

import resource
import sysconfig
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rulewright import console
from rulewright.mining import Example, mine, mine_many

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
ROWS: list[list[object]] = []


def library(name: str) -> str:
    return (LIBRARY / name).read_text(encoding="utf-8")


def first_of(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def edits() -> dict[str, tuple[str, str]]:
    """Name → text before and after."""
    small, large = library("textwrap.py"), library("tarfile.py")[:58_000]
    return {
        "snippet": ("total = set([x for x in rows])\n", "total = {x for x in rows}\n"),
        "textwrap.py: one token": (small, first_of(small, "self.width", "self.columns")),
        "textwrap.py: every place": (small, small.replace("self.width", "self.columns")),
        "textwrap.py: a new line": (small, first_of(small, "import re\n", "import re\nimport sys\n")),
        "textwrap.py: three unlike changes": (
            small,
            first_of(
                first_of(first_of(small, "import re\n", "import re\nimport sys\n"), "self.width", "self.w"),
                "whitespace", "blanks",
            ),
        ),
        "tarfile.py: one token": (large, first_of(large, "copyfileobj(", "copy_file_object(")),
        "tarfile.py: every place": (large, large.replace("copyfileobj(", "copy_file_object(")),
    }  # fmt: skip


EDITS = edits()


@pytest.mark.parametrize("name", EDITS)
def test_mine(benchmark: BenchmarkFixture, name: str) -> None:
    pre, post = EDITS[name]
    start = time.process_time()
    mined = benchmark.pedantic(mine, args=(pre, post, "python"), rounds=3, iterations=1)
    seconds = (time.process_time() - start) / 3
    benchmark.extra_info["rules"] = mined.figures.n_rules
    ROWS.append([name, len(pre), f"{seconds:.3f}", mined.figures.n_rules, "+".join(mined.shapes)])
    assert mined.action is not None


def test_mine_many(benchmark: BenchmarkFixture) -> None:
    group = [Example(f"x = old({i}, mode={i})\n", f"x = new({i})\n", "python") for i in range(6)]
    start = time.process_time()
    rules = benchmark.pedantic(mine_many, args=(group,), rounds=3, iterations=1)
    ROWS.append(["six examples of one change", 120, f"{(time.process_time() - start) / 3:.3f}", 1, "pattern"])
    assert rules[0].support == 6


def test_memory_stays_flat(benchmark: BenchmarkFixture) -> None:
    """Once the caches are full (they hold a fixed number of entries), the peak hardly moves."""
    text = library("textwrap.py")
    words = sorted({word for word in text.split() if word.isidentifier() and len(word) > 6})[:40]
    peaks: list[int] = []

    def many() -> None:
        for number in range(1, 121):
            word = words[number % len(words)]
            mine(text, text.replace(word, f"{word}_{number}"), "python")
            if number % 40 == 0:
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)

    start = time.process_time()
    benchmark.pedantic(many, rounds=1, iterations=1)
    seconds = (time.process_time() - start) / 120
    name = f"textwrap.py: 120 edits; peak after 40, 80, 120: {', '.join(map(str, peaks))} MB"
    ROWS.append([name, len(text), f"{seconds:.3f}", "", ""])
    assert peaks[2] <= 1.1 * peaks[1]
    console.emit(console.table(["edit", "characters", "CPU s", "rules", "shapes"], ROWS))
