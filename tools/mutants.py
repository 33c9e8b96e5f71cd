"""Change one thing of the code at a time, and see whether a test notices (mutation testing).

    python tools/mutants.py [--rooms engine mining rewards] [--sample 80] [--seed 0] [--minutes 60]

Mutants are cosmic-ray's: a number one up or one down, a comparison or `and`/`or` exchanged, a
boolean flipped. The seed draws a sample, equally many from each room; each mutant is tested with the
tests of its room, up to the first failure. Only a copy of `src` is changed, never the checkout.
The output has a line for each mutant, the counts by room, and the survivors with their places. The
first run of the tests is without a change; it bounds the time of the others.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parents[1]
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "engine": (("engine/*.py", "actions/*.py", "difftext.py"), ("tests/engine", "tests/actions")),
    "mining": (("mining/**/*.py", "grammars.py"), ("tests/mining",)),
    "rewards": (
        ("srl/change.py", "srl/rule_tree.py", "srl/similarity.py", "srl/reward_srl.py", "environment.py"),
        ("tests/srl/test_reward.py", "tests/srl/test_similarity.py", "tests/srl/test_catalog.py",
         "tests/environment"),
    ),
}  # fmt: skip
"""Room → its modules, and the tests that must notice a change of them."""
COMPARISONS = {
    "Eq": ("NotEq",), "NotEq": ("Eq",), "Lt": ("LtE", "Gt"), "LtE": ("Lt", "GtE"), "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "LtE"), "Is": ("IsNot",), "IsNot": ("Is",),
}  # fmt: skip
OPERATORS = (
    "core/NumberReplacer", "core/ReplaceTrueWithFalse", "core/ReplaceFalseWithTrue", "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    *(f"core/ReplaceComparisonOperator_{a}_{b}" for a, others in COMPARISONS.items() for b in others),
)  # fmt: skip
OUTSIDE = ("test_differential", "test_the_peak", "bench_")
"""Tests that take minutes; they compare with the command line, and are left out here."""

NO_DECISION = ("@dataclass", "strict=", "ensure_ascii=")
"""Lines whose flags decide nothing that a user could see; their mutants are not tried."""


@dataclass(frozen=True)
class Mutant:
    """One change: of which module, by which operator, the how-manieth place that it fits."""

    room: str
    module: Path
    operator: str
    occurrence: int

    def text(self) -> str | None:
        return mutate_code(self.module.read_text(encoding="utf-8"), operator(self.operator), self.occurrence)

    def place(self) -> str:
        """File and line, and the line before and after."""
        old, new = (
            text.splitlines() for text in (self.module.read_text(encoding="utf-8"), self.text() or "")
        )
        number = next((n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), 0)
        where = self.module.relative_to(ROOT)
        return f"{where}:{number + 1}: {old[number].strip()}  →  {new[number].strip()}"


def operator(name: str) -> Any:
    return plugins.get_operator(name)()


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", ()):
        yield from walk(child)


def mutants(room: str) -> list[Mutant]:
    """All changes of a room's modules."""
    found = []
    for pattern in ROOMS[room][0]:
        for module in sorted((ROOT / "src/rulewright").glob(pattern)):
            nodes = list(walk(get_ast(module.read_text(encoding="utf-8"))))
            for name in OPERATORS:
                n = sum(len(list(operator(name).mutation_positions(node))) for node in nodes)
                found += [Mutant(room, module, name, i) for i in range(n)]
    return found


def sample(rooms: list[str], n: int, seed: int) -> list[Mutant]:
    """`n` mutants, equally many a room, and of a room equally many an operator where it has them."""
    chance = random.Random(seed)
    drawn: list[Mutant] = []
    for room in rooms:
        pools: dict[str, list[Mutant]] = {}
        for mutant in mutants(room):
            pools.setdefault(mutant.operator.partition("_")[0], []).append(mutant)
        for pool in pools.values():
            chance.shuffle(pool)
        wanted, here = n // len(rooms), []
        while len(here) < wanted and any(pools.values()):
            here += [pool.pop() for pool in pools.values() if pool][: wanted - len(here)]
        drawn += here
    chance.shuffle(drawn)
    return drawn


def tested(room: str, source: Path, timeout_s: float) -> bool | None:
    """Whether the room's tests pass on a source tree; `None` where they took too long."""
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *ROOMS[room][1],
    ]
    argv += [
        "-k",
        " and ".join(f"not {name}" for name in OUTSIDE),
        "-m",
        "not slow and not gpu and not network",
    ]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=environment, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--sample", type=int, default=80, help="mutants in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no mutant is begun later")
    options = parser.parse_args()
    end = time.monotonic() + options.minutes * 60
    results: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        bounds = {}
        for room in options.rooms:
            started = time.monotonic()
            if tested(room, source, 3600) is not True:
                print(f"{room}: its tests fail without any change; nothing can be said")
                return 1
            bounds[room] = 60 + 5 * (time.monotonic() - started)
            print(f"{room}: tests pass in {time.monotonic() - started:.0f} s", flush=True)
        for mutant in sample(options.rooms, options.sample, options.seed):
            if time.monotonic() > end:
                break
            changed = mutant.text()
            if changed is None or any(word in mutant.place() for word in NO_DECISION):
                continue
            path = source / mutant.module.relative_to(ROOT / "src")
            before = path.read_text(encoding="utf-8")
            path.write_text(changed, encoding="utf-8")
            passed = tested(mutant.room, source, bounds[mutant.room])
            path.write_text(before, encoding="utf-8")
            word = {True: "survived", False: "killed", None: "killed (time)"}[passed]
            results.append((mutant, word))
            print(f"{word:14} {mutant.place()}", flush=True)
    return summary(options.rooms, results)


def summary(rooms: list[str], results: list[tuple[Mutant, str]]) -> int:
    """Killed and survived by room, then the survivors; 1 where more than 15 % survive."""
    print()
    for room in rooms:
        words = [word for mutant, word in results if mutant.room == room]
        killed = sum(word != "survived" for word in words)
        print(f"{room}: {killed} of {len(words)} killed")
    survivors = [mutant for mutant, word in results if word == "survived"]
    print(f"all: {len(results) - len(survivors)} of {len(results)} killed")
    for mutant in survivors:
        print(f"  {mutant.room}: {mutant.place()}")
    return int(len(survivors) > 0.15 * len(results))


if __name__ == "__main__":
    sys.exit(main())
