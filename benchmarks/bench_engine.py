"""Verified (code, action) pairs per second: engine, bare floor, ast-grep per pair, ast-grep in bulk.

Everything is measured in one run, interleaved, best of several rounds: only the ratios
mean something on a shared machine. An engine pair includes parsing the action's text,
the trip to a worker and back, and the verdict with all judgements; the command-line
routes only rewrite.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright import console
from rulewright.actions import Action, render_action
from rulewright.engine import Engine, Request, cli, differential, reference
from rulewright.engine.parsing import parse
from rulewright.engine.reference import Pair
from rulewright.languages import Language, language_of_path

SAMPLES = Path(__file__).parents[1] / "tests" / "engine" / "samples"
N_PAIRS = 400
N_SINGLE = 24
ROUNDS = 5


def _codes() -> list[tuple[str, Language]]:
    texts = [
        (path.read_text("utf-8"), language_of_path(path.name.removesuffix(".txt")))
        for path in sorted(SAMPLES.iterdir())
    ]
    library = Path(sys.modules["json"].__file__ or "").parents[1]
    modules = sorted(path for path in library.glob("*.py") if 1500 < path.stat().st_size < 6000)
    return texts * 4 + [(path.read_text("utf-8"), "python") for path in modules[:36]]


def pairs() -> list[Pair]:
    """Distinct texts, each with a rule cut from it that ast-grep takes and that has an effect."""
    from rulewright.engine import apply

    chosen: list[Pair] = []
    for pair in differential.generate(_codes(), 4 * N_PAIRS, seed=5):
        # A remark makes every text its own, so that nothing is answered from memory.
        mark = "#" if pair.language == "python" else "//"
        pair = pair._replace(code=f"{pair.code}\n{mark} {pair.rule_id}\n")
        simple = {"rule", "fix", "constraints"} >= set(pair.rule) and isinstance(pair.rule["fix"], str)
        if not simple or parse(pair.code, pair.language).broken:
            continue
        if apply(Action(pair.language, (pair.rule,)), pair.code).ok:
            chosen.append(pair)
        if len(chosen) == N_PAIRS:
            break
    return chosen


def _engine(requests: list[Request], engine: Engine) -> None:
    for outcome in engine.judge_many(requests):
        assert outcome.post is not None


def _floor(items: list[Pair]) -> None:
    """Bare parse, match and replacement of each node by itself: what nothing in Python can beat."""
    for pair in items:
        root = SgRoot(pair.code, pair.language).root()
        edits = [node.replace("x") for node in root.find_all({"rule": pair.rule["rule"]})]
        root.commit_edits(edits)


def _one_process_each(items: list[Pair]) -> None:
    for pair in items:
        document = json.dumps({"id": "r", "language": pair.language, **pair.rule})
        subprocess.run(
            [cli.binary(), "scan", "--inline-rules", document, "--stdin", "-U"],
            input=pair.code.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=cli.ENVIRONMENT,
            check=False,
        )  # fmt: skip


def _best(action: Callable[[], None], n: int) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) / n


def measure() -> dict[str, float]:
    """Seconds per pair of each route, the best of interleaved rounds."""
    items = pairs()
    requests = [
        Request(render_action(Action(p.language, (p.rule,), ids=(p.rule_id,))), p.code, p.language)
        for p in items
    ]
    best: dict[str, float] = {}
    with Engine(workers=1) as one, Engine(workers=2) as two:
        for engine in (one, two):
            _engine(requests[:8], engine)
        routes: dict[str, Callable[[], float]] = {
            "floor": lambda: _best(lambda: _floor(items), len(items)),
            "engine, 1 worker": lambda: _best(lambda: _engine(requests, one), len(items)),
            "engine, 2 workers": lambda: _best(lambda: _engine(requests, two), len(items)),
            "ast-grep in bulk": lambda: _best(lambda: _bulk(items), len(items)),
            "ast-grep per pair": lambda: _best(lambda: _one_process_each(items[:N_SINGLE]), N_SINGLE),
        }
        for _ in range(ROUNDS):
            for name, route in routes.items():
                best[name] = min(best.get(name, 1e9), route())
    return best


def _bulk(items: list[Pair]) -> None:
    reference.scan_batch(items)


def table(best: dict[str, float]) -> str:
    """The figures, with the engine's lead over each route."""
    ours = best["engine, 1 worker"]
    rows = [[name, f"{1e6 * s:,.0f}", f"{1 / s:,.0f}", f"{s / ours:.2f}"] for name, s in best.items()]
    return console.table(["route", "us per pair", "pairs per s", "time vs engine"], rows)


@pytest.mark.benchmark(group="engine")
def test_engine_against_the_command_line(benchmark: Any) -> None:
    best: dict[str, float] = {}

    def run() -> None:
        best.update(measure())

    benchmark.pedantic(run, rounds=1, iterations=1)
    console.say("\n" + table(best))
    benchmark.extra_info.update({name: round(1 / seconds, 1) for name, seconds in best.items()})
    ours = best["engine, 1 worker"]
    assert best["ast-grep per pair"] / ours >= 12
    assert best["ast-grep in bulk"] / ours >= 1.5


@pytest.mark.benchmark(group="engine")
def test_memory_stays_flat(benchmark: Any) -> None:
    """A worker's memory after many pairs, against that after few."""
    items = pairs()
    requests = [Request(render_action(Action(p.language, (p.rule,))), p.code, p.language) for p in items]
    sizes: list[int] = []

    def run() -> None:
        with Engine(workers=1) as engine:
            for _ in range(12):
                _engine(requests, engine)
                sizes.append(_resident_kb(engine._workers[0].process.pid))

    benchmark.pedantic(run, rounds=1, iterations=1)
    console.say(f"\nresident kB of the worker, each after {len(items)} more pairs: {sizes}")
    assert sizes[-1] < 1.15 * sizes[3]


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
