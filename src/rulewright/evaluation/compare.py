"""Two runs on the same tasks: what changed, and how sure that is.

A pure function of the two folders' `rows.jsonl`. Differences are B − A, averaged within a
task, resampled by group; tasks that only one run has are counted and left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.errors import UsageError
from rulewright.evaluation import stats, tables
from rulewright.evaluation.harness import Row

# Benchmark to the field of its rows that decides.
DECIDES: Final = {"edits": "exact", "actions": "success", "canitedit": "passed", "refactor": "passed"}
_ALWAYS: Final = (
    "exact",
    "success",
    "passed",
    "official_passed",
    "valid",
    "change_similarity",
    "changed_line_overlap",
)
_MAX_LISTED: Final = 200
_FEW_GROUPS: Final = 20


@dataclass(frozen=True)
class Run:
    """One finished (or unfinished) run, as read from its folder."""

    path: Path
    benchmark: str
    rows: list[Row]


def read_run(path: Path) -> Run:
    """Read a run's rows.

    Raises:
        UsageError: no rows there.
    """
    rows_path = path / "rows.jsonl"
    if not rows_path.exists():
        inner = sorted(str(p.parent) for p in path.glob("*/rows.jsonl")) if path.is_dir() else []
        hint = f"one of {', '.join(inner[:6])}?" if inner else "name a folder under runs/eval"
        raise UsageError(f"{path}: holds no run (no rows.jsonl)", hint)
    rows = list(jsonl.read(rows_path))
    result_path = path / "result.json"
    if not result_path.exists():
        console.say(f"{path}: the run is not finished; comparing what is there ({len(rows)} rows)")
        return Run(path, "", rows)
    return Run(path, json.loads(result_path.read_text(encoding="utf-8")).get("benchmark", ""), rows)


def compare(
    a: Run, b: Run, metric: str = "", margin: float = 0.03, seed: int = 0, by: Sequence[str] = ("family",)
) -> dict[str, Any]:
    """Compare two runs; see `docs/evaluation.md` for every field of the result."""
    metric = metric or _decisive(a, b)
    values_a, values_b = _values(a, metric), _values(b, metric)
    both = sorted(set(values_a) & set(values_b))
    if not both:
        raise UsageError(
            f"{a.path} and {b.path} share no task with a value of '{metric}'",
            "compare runs on the same data; --metric names a field of their rows",
        )
    groups = {**tables.groups_of(a.rows), **tables.groups_of(b.rows)}
    paired = _paired(values_a, values_b, both, groups, seed)
    gained, lost = stats.flips({t: values_a[t] for t in both}, {t: values_b[t] for t in both})
    single = all(value in (0, 1) for t in both for value in (values_a[t], values_b[t]))
    return {
        "a": str(a.path),
        "b": str(b.path),
        "metric": metric,
        "n_tasks": len(both),
        "n_groups": paired.n_groups,
        "only_in_a": len(values_a) - len(both),
        "only_in_b": len(values_b) - len(both),
        "mean_a": _mean(values_a, both, groups, seed),
        "mean_b": _mean(values_b, both, groups, seed),
        "paired": paired.to_dict(),
        "mcnemar_p": round(stats.mcnemar_exact(len(gained), len(lost)), 6) if single else None,
        "equivalence": stats.tost(paired, margin),
        "n_gained": len(gained),
        "n_lost": len(lost),
        "gained": gained[:_MAX_LISTED],
        "lost": lost[:_MAX_LISTED],
        "other_metrics": _others(a, b, metric, groups, seed),
        "by": {name: _by(name, a, b, values_a, values_b, groups, seed) for name in by},
    }


def _decisive(a: Run, b: Run) -> str:
    for run in (a, b):
        if run.benchmark in DECIDES:
            return DECIDES[run.benchmark]
    for name in DECIDES.values():
        if any(name in row for row in a.rows) and any(name in row for row in b.rows):
            return name
    raise UsageError(f"{a.path}: unknown kind of run", "name the field to compare with --metric")


def _values(run: Run, metric: str) -> dict[str, float]:
    read: Callable[[Row], float | None] = lambda row: row.get(metric)  # noqa: E731
    return tables.per_task(tables.counted(run.rows), read)


def _paired(
    a: dict[str, float], b: dict[str, float], tasks: Sequence[str], groups: dict[str, str], seed: int
) -> stats.Paired:
    return stats.paired([a[t] for t in tasks], [b[t] for t in tasks], [groups[t] for t in tasks], seed)


def _mean(
    values: dict[str, float], tasks: Sequence[str], groups: dict[str, str], seed: int
) -> dict[str, Any]:
    return stats.estimate([values[t] for t in tasks], [groups[t] for t in tasks], seed).to_dict()


def _others(a: Run, b: Run, metric: str, groups: dict[str, str], seed: int) -> dict[str, Any]:
    """The paired difference of every other usual metric that both runs have."""
    found = {}
    for name in _ALWAYS:
        values_a, values_b = _values(a, name), _values(b, name)
        both = sorted(set(values_a) & set(values_b))
        if both and name != metric:
            found[name] = _paired(values_a, values_b, both, groups, seed).to_dict()
    return found


def _by(
    name: str,
    a: Run,
    b: Run,
    values_a: dict[str, float],
    values_b: dict[str, float],
    groups: dict[str, str],
    seed: int,
) -> dict[str, Any]:
    """Paired differences within each value of a field, most tasks first."""
    parts: dict[str, set[str]] = {}
    for row in (*a.rows, *b.rows):
        values = row.get(name)
        for value in values if isinstance(values, list) else [values]:
            if value is not None and row["task"] in values_a and row["task"] in values_b:
                parts.setdefault(str(value), set()).add(row["task"])
    ordered = sorted(parts.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        value: _paired(values_a, values_b, sorted(tasks), groups, seed).to_dict() for value, tasks in ordered
    }


def show(result: dict[str, Any]) -> None:
    """The comparison for a person."""
    paired, equivalence = result["paired"], result["equivalence"]
    console.say(f"A {result['a']}\nB {result['b']}")
    console.say(f"{result['metric']}, {result['n_tasks']} tasks in {result['n_groups']} groups, in percent:")
    console.say(
        console.table(
            ["", "% [95 % interval]"],
            [["A", tables.cell(result["mean_a"])], ["B", tables.cell(result["mean_b"])]],
        )
    )
    change, low, high = (100 * paired[key] for key in ("difference", "low", "high"))
    console.say(
        f"B − A: {change:+.1f} [{low:+.1f}, {high:+.1f}] points, {_p(paired['p_value'])} "
        "(paired, groups resampled)"
    )
    if result["n_groups"] < _FEW_GROUPS:
        console.say(f"caution: with {result['n_groups']} groups the interval is too narrow")
    exact = "" if result["mcnemar_p"] is None else f"; McNemar {_p(result['mcnemar_p'])}"
    console.say(f"gained {result['n_gained']}, lost {result['n_lost']}{exact}")
    if paired["mde"] is not None:
        console.say(
            f"smallest difference this comparison would find (80 %): {100 * paired['mde']:.1f} points"
        )
    margin = 100 * equivalence["margin"]
    for key, words in (("not_worse", "B is no worse than A by"), ("equivalent", "B equals A within")):
        console.say(f"{words} {margin:g} points: {'shown' if equivalence[key] else 'not shown'}")
    if result["only_in_a"] or result["only_in_b"]:
        console.say(f"left out: {result['only_in_a']} tasks only in A, {result['only_in_b']} only in B")


def _p(value: float) -> str:
    return f"p {value:.3g}" if value >= 1e-4 else "p < 0.0001"
