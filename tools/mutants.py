"""Change one thing of the code at a time, and see whether a test notices (mutation testing).

    python tools/mutants.py [--rooms engine data mining rewards] [--sample 240] [--seed 0] [--minutes 60]

`tools/mutation.py` makes the changes. The seed draws equally many from each room, and from each
kind of change. First all tests of a room run once without a change, to see which lines each reaches
and how long it takes. Then each mutant runs the tests that reach its lines, the quickest first, up
to the first that fails, in a process forked from one that has loaded the libraries: about 2 s a
mutant. A mutant survives that no test notices within `--each` seconds of CPU time.

Results are appended to FOLDER/results.jsonl. The next run tests no mutant again whose module is
unchanged, except survivors after a change of the tests. `tools/mutants_equal.txt` names changes
without effect and why; they count neither as killed nor as survived. Only a copy of `src` is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation import KINDS, Mutant, Place, assigned, make_mutant, places, statement

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/rulewright"
EQUAL = Path(__file__).with_name("mutants_equal.txt")


@dataclass(frozen=True)
class Room:
    """Modules below `src/rulewright`, and the tests that must notice a change of them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "engine": Room(
        ("engine/*.py", "actions/*.py", "difftext.py"),
        ("tests/engine", "tests/actions", "tests/mining/test_diffs.py", "tests/test_doctests.py"),
    ),
    "data": Room(
        ("data/*.py",),
        ("tests/data", "tests/engine/test_apply_verify_commands.py", "tests/test_doctests.py"),
    ),
    "mining": Room(("mining/**/*.py", "grammars.py"), ("tests/mining", "tests/test_doctests.py")),
    "rewards": Room(
        ("srl/change.py", "srl/rule_tree.py", "srl/similarity.py", "srl/reward_srl.py", "srl/literalness.py",
         "environment/*.py"),
        ("tests/srl/test_reward.py", "tests/srl/test_similarity.py", "tests/srl/test_catalog.py",
         "tests/srl/test_assignment.py", "tests/srl/test_literalness.py", "tests/environment",
         "tests/test_doctests.py"),
    ),
}  # fmt: skip
STARTED_BY = {"engine/worker.py": "engine/pool.py"}
"""Modules that run only in processes of their own, where no line is watched, and who starts them."""
OUTSIDE = ("test_differential", "test_the_peak")
"""Tests that take minutes: they compare with the command line, and are left out here."""
LIBRARIES = (
    "_pytest.assertion.rewrite",
    "ast_grep_py",
    "hypothesis",
    "jinja2",
    "numpy",
    "pydantic",
    "tyro",
    "yaml",
)
"""Loaded once, before the forks. Of the package nothing is: each fork loads its own."""

CACHED = type(functools.lru_cache(len))
"""What a function with a cache is."""

Lines = dict[str, dict[int, list[str]]]
"""Module → line → tests that reach it."""


@dataclass
class Map:
    """What the tests of a room reach without any change."""

    lines: Lines
    seconds: dict[str, float]
    """CPU time of each test that passed."""

    def tests(self, mutant: Mutant, code: str) -> list[str]:
        """The tests that reach a mutant's lines, quickest first; of a constant, its readers' lines."""
        first, last = statement(code, mutant.line)
        reached = self._at(mutant.place.module, range(first, last + 1))
        if not reached:
            for name in assigned(code, mutant.line):
                reached |= self._readers(name)
        starter = STARTED_BY.get(mutant.place.module)
        if not reached and starter is not None:
            reached = self._at(starter, self.lines.get(starter, ()))
        return sorted(reached or self.seconds, key=lambda test: self.seconds.get(test, 99.0))

    def _at(self, module: str, lines: Iterable[int]) -> set[str]:
        here = self.lines.get(module, {})
        return {test for line in lines for test in here.get(line, ()) if test in self.seconds}

    def _readers(self, name: str) -> set[str]:
        """The tests of a name's readers: functions, the tests' own files, and what is made of it."""
        sought, found, known = [name], set[str](), {name}
        codes = {module: (SOURCE / module).read_text(encoding="utf-8") for module in self.lines}
        while sought:
            word = re.compile(rf"\b{re.escape(sought.pop())}\b")
            for module, code in codes.items():
                for n, line in enumerate(code.splitlines(), 1):
                    if not word.search(line):
                        continue
                    if tests := self._at(module, range(n, n + 1)):
                        found |= tests
                    else:
                        made = assigned(code, n) - known
                        known |= made
                        sought += made
            for file in {test.partition("::")[0] for test in self.seconds}:
                if word.search((ROOT / file).read_text(encoding="utf-8")):
                    found |= {test for test in self.seconds if test.startswith(f"{file}::")}
        return found


class Watch:
    """A plugin of pytest for the first run: which test reaches which line, and how long it takes."""

    def __init__(self, coverage: Any) -> None:
        self.coverage, self.began = coverage, 0.0
        self.seconds: dict[str, float] = {}
        self.skipped: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        forget()
        self.coverage.switch_context(nodeid)
        self.began = _cpu()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if not report.passed:
            (self.skipped if report.skipped else self.failed).add(report.nodeid)
        if report.when == "teardown" and report.nodeid not in self.failed | self.skipped:
            self.seconds[report.nodeid] = round(_cpu() - self.began, 3)


@dataclass(eq=False)
class Chosen:
    """A plugin of pytest for a mutant: these tests, in this order, for so long.

    Pytest keeps plugins in sets where tests of several folders run, so it must have a hash.
    """

    tests: list[str]
    limit_s: float
    ran: list[str] = field(default_factory=list)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        known = {item.nodeid: item for item in items}
        items[:] = [known[test] for test in self.tests if test in known]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.ran.append(nodeid)

    def pytest_runtest_protocol(self, item: Any) -> None:
        if _cpu() > self.limit_s:
            item.session.shouldstop = "out of time"


def forget() -> None:
    """Empty the caches of all rooms: a test that is answered by one reaches no line."""
    tops = {name.split("/")[0].removesuffix(".py") for room in ROOMS.values() for name in room.modules}
    for name, module in list(sys.modules.items()):
        is_watched = name.startswith("rulewright.") and name.split(".")[1] in tops
        for one in list(vars(module).values()) if is_watched else ():
            if isinstance(one, CACHED):
                one.cache_clear()


def _cpu() -> float:
    """CPU seconds of this process and of those that it waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def mapped(room: str, folder: Path) -> Map:
    """The room's map, from FOLDER where neither the package nor the tests have changed since."""
    saved = folder / f"map-{room}-{_digest(SOURCE)[:12]}-{_digest(ROOT / 'tests')[:12]}.json"
    if not saved.is_file():
        argv = [sys.executable, __file__, "--map", room, "--folder", str(folder), "--to", str(saved)]
        subprocess.run(argv, cwd=ROOT, env=_environment(ROOT / "src"), check=True)
    said = json.loads(saved.read_text(encoding="utf-8"))
    names = said["tests"]
    lines = {
        module: {int(n): [names[i] for i in at] for n, at in here.items()}
        for module, here in said["lines"].items()
    }
    return Map(lines, said["seconds"])


def make_map(room: str, to: Path) -> int:
    """Run the room's tests once, watched; the result goes to a file."""
    import coverage
    import pytest

    measured = coverage.Coverage(data_file=None, source=[str(SOURCE)], config_file=False)
    watch = Watch(measured)
    measured.start()
    with _quiet(to.with_suffix(".log")):
        pytest.main(_argv([*ROOMS[room].tests], stop=False), plugins=[watch])
    measured.stop()
    data = measured.get_data()
    names = sorted(watch.seconds)
    if not names:
        print(
            f"{room}: no test ran, so no mutant could be killed; see {to.with_suffix('.log')}",
            file=sys.stderr,
        )
        return 1
    if watch.failed:
        print(
            f"{room}: {len(watch.failed)} tests fail without any change, so what they hold would count as "
            f"unnoticed; see {to.with_suffix('.log')}, mend them or run again",
            *sorted(watch.failed)[:5], sep="\n  ", file=sys.stderr,
        )  # fmt: skip
        return 1
    numbers = {name: i for i, name in enumerate(names)}
    lines = {}
    for path in data.measured_files():
        at = data.contexts_by_lineno(path)
        reached = {n: [numbers[c] for c in tests if c in numbers] for n, tests in at.items()}
        lines[str(Path(path).relative_to(SOURCE))] = {n: tests for n, tests in reached.items() if tests}
    if watch.skipped:
        print(f"{room}: left out, for they skip: {len(watch.skipped)}", flush=True)
    to.write_text(json.dumps({"tests": names, "seconds": watch.seconds, "lines": lines}), encoding="utf-8")
    return 0


def _argv(tests: list[str], *, stop: bool = True) -> list[str]:
    left_out = " and ".join(f"not {name}" for name in OUTSIDE)
    argv = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", left_out, "--tb=no", "--assert=plain"]
    return [*argv, "-m", "not slow and not gpu and not network", *(["-x"] if stop else []), *tests]


def _environment(source: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def _quiet(path: Path) -> Any:
    """What this process and those below it write goes to a file."""
    saved = os.dup(1), os.dup(2)
    with path.open("wb") as file:
        for n in (1, 2):
            os.dup2(file.fileno(), n)
        try:
            yield
        finally:
            for n, fd in zip((1, 2), saved, strict=True):
                os.dup2(fd, n)


def tried(tests: list[str], source: Path, each_s: float, log: Path) -> str:
    """How a mutant fared: `killed`, `killed (time)`, `survived` or `unknown`. The tests run in a fork.

    Only CPU time kills. What hangs without using any is stopped by the clock, and so is what a busy
    machine keeps waiting: of it nothing is known.
    """
    if not tests:  # no test reaches the line
        return "survived"
    child = os.fork()
    if child == 0:
        os._exit(_in_fork(tests, source, each_s, log))
    end = time.monotonic() + 60 * each_s + 600
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "unknown"
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        return "killed (time)"
    return ("survived", "killed", "unknown")[os.WEXITSTATUS(status)]


def _in_fork(tests: list[str], source: Path, each_s: float, log: Path) -> int:
    """0: no test noticed; 1: one did; 2: pytest itself broke, which says nothing."""
    os.setpgid(0, 0)
    hard = int(3 * each_s) + 30
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
    os.environ.update(_environment(source))
    sys.path.insert(0, str(source))
    sys.dont_write_bytecode = True
    os.chdir(ROOT)
    try:
        import pytest

        with _quiet(log):
            files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
            chosen = Chosen(tests, _cpu() + each_s)
            code = pytest.main(_argv(files), plugins=[chosen])
        if code in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
            return 2
        return int(code not in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED) or not chosen.ran)
    except BaseException:
        return 1


def _digest(folder: Path) -> str:
    made = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        made.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return made.hexdigest()


def sample(rooms: list[str], n: int, seed: int) -> list[Mutant]:
    """`n` mutants: equally many a room, and of a room equally many a kind where it has them."""
    drawn: list[list[Mutant]] = []
    for room in rooms:
        pools: dict[str, list[Place]] = {kind: [] for kind in KINDS}
        for place in places(room, SOURCE, ROOMS[room].modules):
            pools[place.kind].append(place)
        chance = random.Random(f"{seed} {room}")
        for pool in pools.values():
            chance.shuffle(pool)
        here: dict[str, Mutant] = {}
        while len(here) < n // len(rooms) and any(pools.values()):
            for pool in pools.values():
                if pool and (made := make_mutant(pool.pop(), SOURCE)) is not None:
                    here.setdefault(made.text, made)
        drawn.append(list(here.values())[: n // len(rooms)])
    return [made for turn in zip(*drawn, strict=False) for made in turn]


class Results:
    """FOLDER/results.jsonl: one line for each mutant that was tried."""

    def __init__(self, folder: Path) -> None:
        self.path, self.tests = folder / "results.jsonl", _digest(ROOT / "tests")
        rows = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        self.rows = {row["key"]: row for row in map(json.loads, rows)}

    def of(self, mutant: Mutant) -> str | None:
        """What is known of a mutant, if it still holds."""
        row = self.rows.get(mutant.key)
        if row is None or row["module"] != self._module(mutant):
            return None
        if row["fate"] == "unknown" or (row["fate"] == "survived" and row["tests"] != self.tests):
            return None
        return str(row["fate"])

    def add(self, mutant: Mutant, fate: str) -> None:
        row = {"key": mutant.key, "fate": fate, "module": self._module(mutant), "tests": self.tests}
        self.rows[mutant.key] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    @staticmethod
    def _module(mutant: Mutant) -> str:
        return hashlib.sha256((SOURCE / mutant.place.module).read_bytes()).hexdigest()[:16]


def equal() -> dict[str, str]:
    """Changes without effect → why, from `tools/mutants_equal.txt`: a change, then its reason, indented."""
    known, key = {}, ""
    for line in EQUAL.read_text(encoding="utf-8").splitlines() if EQUAL.is_file() else []:
        if line.startswith(" "):
            known[key] = line.strip()
        elif line and not line.startswith("#"):
            key = line
    return known


def main() -> int:
    """Draw, try, sum up; 1 where more than 15 % of a room's killable mutants survive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--sample", type=int, default=240, help="mutants in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no mutant is begun later")
    parser.add_argument("--each", type=float, default=30.0, help="CPU seconds of tests for each mutant")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/mutants", help="results and maps")
    parser.add_argument("--map", choices=ROOMS, help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.map:
        return make_map(options.map, options.to)
    end = time.monotonic() + options.minutes * 60
    options.folder.mkdir(parents=True, exist_ok=True)
    maps = {room: mapped(room, options.folder) for room in options.rooms}
    for name in LIBRARIES:
        __import__(name)
    drawn, known, results = (
        sample(options.rooms, options.sample, options.seed),
        equal(),
        Results(options.folder),
    )
    source = options.folder / "src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("*.egg-info"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(source)], check=True)
    for one in drawn:
        if one.key in known or results.of(one) is not None:
            continue
        if time.monotonic() > end:
            break
        code = (SOURCE / one.place.module).read_text(encoding="utf-8")
        path = source / "rulewright" / one.place.module
        path.write_text(one.text, encoding="utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()  # it could be taken for the changed one: same second, same size
        fate = tried(maps[one.place.room].tests(one, code), source, options.each, options.folder / "last.log")
        path.write_text(code, encoding="utf-8")
        results.add(one, fate)
        print(f"{fate:14} {one.place.kind:10} {one}", flush=True)
    return summary(drawn, known, results)


def summary(drawn: list[Mutant], known: dict[str, str], results: Results) -> int:
    """Killed of killable by room and by kind, with Wilson's interval, then the survivors."""
    from rulewright.stats import wilson

    rows: dict[str, list[str]] = defaultdict(list)
    survivors, failed = [], False
    for one in drawn:
        fate = "equal" if one.key in known else results.of(one)
        if fate is None:
            continue
        rows[one.place.room].append(fate)
        rows[f"  {one.place.room}, {one.place.kind}"].append(fate)
        if fate == "survived":
            survivors.append(str(one))
    print()
    for name, fates in sorted(rows.items(), key=lambda row: (row[0].strip(), row[0])):
        n, killed = len(fates) - fates.count("equal"), sum(fate.startswith("killed") for fate in fates)
        low, high = wilson(killed, n) if n else (0.0, 1.0)
        share = f"{100 * killed / max(n, 1):.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
        print(f"{name:24} {killed} of {n} killed, {share}; {fates.count('equal')} without effect")
        failed |= not name.startswith(" ") and killed < 0.85 * n
    print(f"\nnot tried, or stopped by the clock: {len(drawn) - sum(map(len, rows.values())) // 2}")
    print("\nsurvivors:" if survivors else "no survivors")
    for place in sorted(survivors):
        print(f"  {place}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
