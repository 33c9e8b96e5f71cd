"""Verified (code, action) pairs per second: engine, bare floor, ast-grep per pair, ast-grep in bulk.

Everything is measured in one run, interleaved, best of several rounds, in processor time:
only the ratios mean something on a shared machine. An engine pair includes parsing the action's text,
the trip to a worker and back, and the verdict with all judgments; the command-line
routes only rewrite.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ast_grep_py import SgRoot
from tests.engine import reference
from tests.engine.reference import Pair

from rulewright import console
from rulewright.actions import Action, render_action
from rulewright.engine import Engine, Request, cli

N_PAIRS = 400
N_SINGLE = 24
ROUNDS = 4
N_MEMORY = 100_000


RULES = (
    ("$A == None", "$A is None"),
    ("print($$$A)", "log($$$A)"),
    ("foo($A)", "bar($A)"),
    ("len($A) == 0", "not $A"),
    ("$A.get($B)", "$A[$B]"),
)
LINES = (
    "x{i} = foo(1)\n",
    "if y == None:\n    print(x{i}, y)\n",
    "for i in range(10):\n    z = d.get(x{i})\n",
    "if len(z) == 0:\n    w = {i}\n",
)
SIZES = {"0.1 kB": 4, "0.5 kB": 18, "2.5 kB": 90}


def pairs(n_lines: int, start: int = 0, n: int = N_PAIRS) -> list[Pair]:
    """Texts that all differ, a rule of five for each; every fourth or fifth rule finds nothing."""
    made = []
    for i in range(start, start + n):
        pattern, fix = RULES[i % len(RULES)]
        code = "".join(LINES[(i + j) % len(LINES)].format(i=i) for j in range(n_lines))
        made.append(Pair({"rule": {"pattern": pattern}, "fix": fix}, "python", code, f"r{i}"))
    return made


def _engine(requests: list[Request], engine: Engine) -> None:
    for outcome in engine.judge_many(requests):
        assert outcome.post is not None


def _floor(items: list[Pair]) -> None:
    """Bare parse, match and replacement of each node by itself: what nothing in Python can beat."""
    for pair in items:
        root = SgRoot(pair.code, pair.language).root()
        edits = [node.replace("x") for node in root.find_all({"rule": pair.rule["rule"]})]
        root.commit_edits(edits)


def _floor_twice(items: list[Pair]) -> None:
    """The floor in two processes: how far this machine's processors scale at all."""
    child = os.fork()
    _floor(items[child != 0 :: 2])
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _one_process_each(items: list[Pair]) -> None:
    for pair in items:
        document = json.dumps({"id": "r", "language": pair.language, **pair.rule})
        subprocess.run(
            [cli.binary(), "scan", "--inline-rules", document, "--stdin", "-U"],
            input=pair.code.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=cli.ENVIRONMENT, check=False,
        )  # fmt: skip


def _cpu_s(engines: tuple[Engine, ...]) -> float:
    """Processor seconds of this process, of ended children, and of the workers so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + children.ru_utime + children.ru_stime
    tick = os.sysconf("SC_CLK_TCK")
    for engine in engines:
        for worker in engine.workers:
            fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def measure(n_lines: int) -> dict[str, tuple[float, float]]:
    """Per route: processor seconds and seconds by the clock a pair, each the best of all rounds."""
    items = pairs(n_lines)
    requests = [
        Request(render_action(Action(p.language, (p.rule,), ids=("r",))), p.code, p.language) for p in items
    ]
    best: dict[str, tuple[float, float]] = {}
    with Engine(workers=1) as one, Engine(workers=2) as two:
        for engine in (one, two):
            _engine(requests[:8], engine)
        routes: dict[str, tuple[Callable[[], None], int]] = {
            "floor (parse, match, replace)": (lambda: _floor(items), len(items)),
            "floor, 2 processes": (lambda: _floor_twice(items), len(items)),
            "engine, 1 worker": (lambda: _engine(requests, one), len(items)),
            "engine, 2 workers": (lambda: _engine(requests, two), len(items)),
            "ast-grep in bulk": (lambda: _bulk(items), len(items)),
            "ast-grep per pair": (lambda: _one_process_each(items[:N_SINGLE]), N_SINGLE),
        }
        for _ in range(ROUNDS):
            for name, (action, n) in routes.items():
                cpu, clock = _cpu_s((one, two)), time.perf_counter()
                action()
                spent = ((_cpu_s((one, two)) - cpu) / n, (time.perf_counter() - clock) / n)
                known = best.get(name, spent)
                best[name] = (min(known[0], spent[0]), min(known[1], spent[1]))
    return best


def _bulk(items: list[Pair]) -> None:
    reference.scan_batch(items)


def table(best: dict[str, tuple[float, float]]) -> str:
    """The figures, with each route's processor time as a multiple of the engine's."""
    ours = best["engine, 1 worker"][0]
    rows = [
        [name, f"{1e6 * cpu:,.0f}", f"{1 / cpu:,.0f}", f"{1 / clock:,.0f}", f"{cpu / ours:.2f}"]
        for name, (cpu, clock) in best.items()
    ]
    return console.table(["route", "CPU us", "pairs/s of CPU", "pairs/s by clock", "CPU vs engine"], rows)


@pytest.mark.benchmark(group="engine")
@pytest.mark.parametrize("size", SIZES)
def test_engine_against_the_command_line(benchmark: Any, size: str) -> None:
    best: dict[str, tuple[float, float]] = {}

    def run() -> None:
        best.update(measure(SIZES[size]))

    benchmark.pedantic(run, rounds=1, iterations=1)
    console.say(
        f"\n{size} of Python per pair, n = {N_PAIRS} ({N_SINGLE} for ast-grep per pair)\n{table(best)}"
    )
    benchmark.extra_info.update({name: round(1 / cpu, 1) for name, (cpu, _) in best.items()})
    assert best["ast-grep per pair"][0] > best["engine, 1 worker"][0]


@pytest.mark.benchmark(group="engine")
def test_memory_stays_flat(benchmark: Any) -> None:
    """A worker's memory over 100,000 pairs, no text or rule twice, against that after the first tenth."""
    sizes: list[int] = []

    def requests(start: int) -> Iterator[Request]:
        for i, pair in enumerate(pairs(SIZES["0.1 kB"], start, N_MEMORY // 10), start):
            rule = {**pair.rule, "rule": {"any": [pair.rule["rule"], {"pattern": f"absent{i}($A)"}]}}
            yield Request(render_action(Action(pair.language, (rule,))), pair.code, pair.language)

    def run() -> None:
        with Engine(workers=1) as engine:
            for tenth in range(10):
                n = sum(1 for _ in engine.judge_many(requests(tenth * N_MEMORY // 10)))
                assert n == N_MEMORY // 10
                sizes.append(_resident_kb(engine.workers[0].process.pid))

    benchmark.pedantic(run, rounds=1, iterations=1)
    console.say(f"\nresident kB of the worker after each tenth of {N_MEMORY:,} pairs: {sizes}")
    assert sizes[-1] < 1.1 * sizes[0]


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
