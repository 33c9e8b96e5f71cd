"""`apply` and `edit --like` over a whole folder, beside `ast-grep scan -U` of the same rule.

    python benchmarks/bench_apply.py [FOLDER] [--language typescript] [--rounds 5]

FOLDER is code; by default the running Python's standard library. Three rules that rename a call: one in few
files, one in about a tenth of them, and the one that is in most; and two packs of twenty such rules: calls in
at most a hundredth of the files each, and those that are in most. Each round runs the commands one after the
other, each on a fresh copy of the folder (`edit --like` writes nothing). Printed are medians of the rounds,
with the smallest and the largest: processor seconds (user and system, all processes), and two peaks of memory
summed over the processes, looked at every 50 ms: the proportional set size, in which a page that two
processes share counts once, and the resident set size, in which it counts twice. Each also as a ratio to the
scan of that round.
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
from rulewright.languages import Language, language_of_path, suffix_of

LOOK_EVERY_S: Final = 0.05
FEW: Final = (2, 5)
"""Files that a rare call is in, at least and at most."""
WIDE: Final = 0.1
"""Share of the files that a wide call is in, about."""
PACK: Final = 20
"""Rules of a pack."""
SELDOM: Final = 0.01
"""Share of the files that a call of the pack of seldom ones is in, at most."""


Cost = tuple[float, float, float]
"""Processor seconds of a command, and its peaks of memory in MB: PSS, RSS."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--language", choices=["python", "typescript", "javascript"], default="python")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    runs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or library(Path(scratch, "library"))
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and language_of_path(path) == given.language
        ]
        where = counted(files, given.language)
        ranked = sorted(where, key=lambda name: (-where[name], name))
        names = {
            "rare": [min(name for name, n in where.items() if FEW[0] <= n <= FEW[1])],
            "wide": [min(where, key=lambda name: (abs(where[name] - len(files) * WIDE), name))],
            "common": ranked[:1],
            "seldom20": [name for name in ranked if where[name] <= max(1, len(files) * SELDOM)][:PACK],
            "common20": ranked[:PACK],
        }
        for _ in range(given.rounds):
            for sort, called in names.items():
                for command, argv in commands(Path(scratch), sort, called, given.language).items():
                    copy = Path(shutil.copytree(folder, Path(scratch, "copy"), symlinks=True))
                    runs.setdefault(f"{command}, {sort}", []).append(cost([*argv, str(copy)]))
                    shutil.rmtree(copy)
    rows = []
    for name, costs in runs.items():
        beside = runs[f"ast-grep scan -U, {name.rsplit(' ', 1)[1]}"]
        ratios = [tuple(map(truediv, ours, theirs)) for ours, theirs in zip(costs, beside, strict=True)]
        figures = (*zip(*costs, strict=True), *zip(*ratios, strict=True))
        rows.append((name, *map(spread, figures)))
    counts = "; ".join(
        f"{sort}: {', '.join(f'{name} in {where[name]}' for name in called)}"
        for sort, called in names.items()
    )
    console.emit(f"{len(files):,} files; {counts}")
    heads = ("command", "CPU s", "PSS MB", "RSS MB", "CPU ratio", "PSS ratio", "RSS ratio")
    console.emit(console.table(heads, rows))
    return 0


def commands(scratch: Path, sort: str, names: list[str], language: Language) -> dict[str, list[str]]:
    """The command lines that rename calls, without the folder."""
    suffix = suffix_of(language)
    rule, old, new = (scratch / f"{sort}{end}" for end in (".yml", f"_old{suffix}", f"_new{suffix}"))
    rules = (
        f"id: r{number}\nlanguage: {language}\nrule:\n  pattern: {name}($$$A)\nfix: {name}_($$$A)\n"
        for number, name in enumerate(names)
    )
    rule.write_text("---\n".join(rules))
    old.write_text("".join(f"{name}(x, 1)\n" for name in names))
    new.write_text("".join(f"{name}_(x, 1)\n" for name in names))
    rulewright = [sys.executable, "-m", "rulewright"]
    found = {
        "ast-grep scan -U": [cli.binary(), "scan", "--rule", str(rule), "-U"],
        "apply --write": [*rulewright, "apply", str(rule), "--write", "--json"],
    }
    if len(names) == 1:
        found["edit --like"] = [*rulewright, "edit", "--like", str(old), str(new)]
    return found


def library(copy: Path) -> Path:
    """A copy of the standard library, without what was installed into it."""
    ignored = shutil.ignore_patterns("site-packages", "__pycache__")
    return Path(shutil.copytree(sysconfig.get_paths()["stdlib"], copy, ignore=ignored))


def counted(files: list[Path], language: Language) -> Counter[str]:
    """In how many of the files each plain name is called."""
    kind = "call" if language == "python" else "call_expression"
    found: Counter[str] = Counter()
    for path in files:
        calls = SgRoot(path.read_bytes().decode("utf-8", "replace"), language).root().find_all(kind=kind)
        functions = {call.field("function") for call in calls}
        found.update({f.text() for f in functions if f is not None and f.kind() == "identifier"})
    return found


def cost(argv: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it could not do its work (an exit code above 1).
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pss = rss = 0
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=words) as running,
    ):
        process = psutil.Process(running.pid)
        while running.poll() is None:
            held_pss, held_rss = held(process)
            pss, rss = max(pss, held_pss), max(rss, held_rss)
            time.sleep(LOOK_EVERY_S)
        words.seek(0)
        said = words.read()
    if running.returncode > 1:
        raise RuntimeError(f"{argv}: {said.decode()[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, pss / 1e6, rss / 1e6


def held(process: psutil.Process) -> tuple[int, int]:
    """Bytes of memory that a process and those below it hold now, PSS and RSS; 0 where one just ended."""
    pss = rss = 0
    try:
        for one in (process, *process.children(recursive=True)):
            memory = one.memory_full_info()
            pss += memory.pss
            rss += memory.rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0, 0
    return pss, rss


def spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
