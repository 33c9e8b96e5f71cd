"""Compare two runs on the same tasks, with uncertainty.

A pure function of the two folders' `rows.jsonl`. Differences are B − A, averaged within a task, resampled
by group; tasks that only one run has are counted and ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl, stats
from rulewright.errors import UsageError, did_you_mean, few
from rulewright.evaluation import tables
from rulewright.evaluation.measures import BENCHMARKS, MINING, Measure, Measures, Row, group_of

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
        hint = f"one of {few(inner, 6)}?" if inner else "name a folder under runs/eval"
        raise UsageError(f"{path}: is not a run folder (no rows.jsonl)", hint)
    result_path = path / "result.json"
    result = {}
    if result_path.exists():
        rows = list(jsonl.read(rows_path))
        result = jsonl.read_object(result_path, "run the evaluation again")
    else:
        lines = list(jsonl.read_lines(rows_path))
        # The last line is being written, or its writer was killed: it is owed again.
        done = lines[:-1] if lines and lines[-1].value is None else lines
        rows = [line.object_of(rows_path) for line in done]
        console.say(f"{path}: the run is not finished; comparing its rows so far ({len(rows)} rows)")
    benchmark = benchmark_of(result or next(iter(rows), {}))
    needed = ("id", "source", "group", "tier") if benchmark == MINING.name else ("task", "group", "verdict")
    lacking = next((key for row in rows for key in needed if key not in row), None)
    if lacking is not None:
        raise UsageError(f"{rows_path}: a row without `{lacking}`", "name a run of one of the evaluations")
    return Run(path, benchmark, [named(row, benchmark) for row in rows])


def benchmark_of(told: Mapping[str, Any]) -> str:
    """The benchmark that a row or a `result.json` names; empty where it names none."""
    return str(told.get("benchmark", ""))


def named(row: Row, benchmark: str) -> Row:
    """A row with `task`, `group` and `verdict`, which the miner's rows have under other names."""
    if benchmark != MINING.name:
        return row
    return {**row, "task": row["id"], "group": group_of(row), "verdict": row["tier"]}


def compare(
    a: Run,
    b: Run,
    metric: str = "",
    margin: float = 0.03,
    seed: int = 0,
    by: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Compare two runs; see `docs/reference/evaluation.md` for every field of the result.

    Args:
        a: the earlier run.
        b: the later run.
        metric: name of a measure, or a numeric field of the rows; empty: what decides.
        margin: of the equivalence test.
        seed: of the resampling.
        by: fields to break the difference down by; `None`: those of the benchmark.

    Raises:
        UsageError: of another kind, no such metric, or no task in common.
    """
    benchmark = _benchmark(a, b)
    measure = _measure(benchmark, metric, (a, b))
    groups = {**tables.groups_of(a.rows), **tables.groups_of(b.rows)}

    def on(one: Measure) -> PairedValues:
        values_a, values_b = (tables.per_task(tables.counted(run.rows), one.read) for run in (a, b))
        return PairedValues(values_a, values_b, groups, one, seed)

    found = on(measure)
    if not found.both:
        raise UsageError(
            f"{a.path} and {b.path} share no task with a value of '{measure.name}'",
            "compare runs on the same data; --metric names a measure, or a field of their rows",
        )
    if unknown := [name for name in by or () if not any(name in row for row in (*a.rows, *b.rows))]:
        known = sorted({key for row in a.rows for key in row})
        raise UsageError(
            f"--by {unknown[0]}: no row has this field{did_you_mean(unknown[0], known)}",
            f"fields: {', '.join(known)}",
        )
    paired = found.paired(found.both)
    others = [on(one) for one in (benchmark.headline if benchmark else ()) if one.name != measure.name]
    gained, lost = stats.flips(found.a, found.b) if measure.unit == "rate" else ([], [])
    single = all(value in (0, 1) for task in found.both for value in (found.a[task], found.b[task]))
    fields = by if by is not None else benchmark.by if benchmark else ()
    return {
        "a": str(a.path),
        "b": str(b.path),
        "benchmark": benchmark.name if benchmark else "",
        "metric": measure.name,
        "n_tasks": len(found.both),
        "n_groups": paired.n_groups,
        "only_in_a": len(found.a) - len(found.both),
        "only_in_b": len(found.b) - len(found.both),
        **found.means(),
        "paired": paired.to_dict(),
        "mcnemar_p": round(stats.mcnemar_exact(len(gained), len(lost)), 6) if single else None,
        "equivalence": stats.tost(paired, margin),
        "n_gained": len(gained),
        "n_lost": len(lost),
        "gained": gained[:_MAX_LISTED],
        "lost": lost[:_MAX_LISTED],
        "other_metrics": {
            one.measure.name: {**one.means(), **one.paired(one.both).to_dict()} for one in others if one.both
        },
        "by": {name: found.by(name, (*a.rows, *b.rows)) for name in fields},
    }


def in_order(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Compare each run with the first, and with the one before it."""
    runs = [read_run(path) for path in paths] if len(paths) > 1 else []
    return [compare(runs[i], runs[j]) for i, j in pairs(len(runs))]


def pairs(n: int) -> list[tuple[int, int]]:
    """Places of what is compared among n runs in order, the earlier one first.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return sorted({(i, j) for j in range(1, n) for i in (0, j - 1)}, key=lambda pair: (pair[1], pair[0]))


def share_tasks(a: Run, b: Run) -> bool:
    """Whether two runs have a task in common."""
    return bool({row["task"] for row in a.rows} & {row["task"] for row in b.rows})


@dataclass(frozen=True)
class PairedValues:
    """Values of one measure on two sides, by task."""

    a: dict[str, float]
    b: dict[str, float]
    groups: dict[str, str]
    measure: Measure
    seed: int

    @cached_property
    def both(self) -> list[str]:
        """The tasks that both sides have a value of."""
        return sorted(self.a.keys() & self.b.keys())

    def means(self) -> dict[str, Any]:
        """The unit, and the mean of each side over the tasks that both have."""
        means = {"mean_a": self.mean(self.a, self.both), "mean_b": self.mean(self.b, self.both)}
        return {"unit": self.measure.unit, **means}

    def paired(self, tasks: Sequence[str]) -> stats.Paired:
        values = [self.a[t] for t in tasks], [self.b[t] for t in tasks]
        return stats.paired(
            *values, [self.groups[t] for t in tasks], self.seed, rate=self.measure.unit == "rate"
        )

    def mean(self, values: dict[str, float], tasks: Sequence[str]) -> dict[str, Any]:
        groups = [self.groups[t] for t in tasks]
        rate = self.measure.unit == "rate"
        return stats.estimate([values[t] for t in tasks], groups, self.seed, rate).to_dict()

    def by(self, field: str, rows: Sequence[Row]) -> dict[str, Any]:
        """Paired differences within each value of a field, most tasks first."""
        both = [row for row in rows if row["task"] in self.a and row["task"] in self.b]
        tasks = {value: {row["task"] for row in part} for value, part in tables.parts(both, field).items()}
        return {value: self.paired(sorted(some)).to_dict() for value, some in tasks.items()}


def _benchmark(a: Run, b: Run) -> Measures | None:
    """The benchmark of both runs, where one of them names it."""
    kinds = {run.benchmark for run in (a, b) if run.benchmark}
    if len(kinds) > 1:
        raise UsageError(
            f"{a.path} is a run of '{a.benchmark}', {b.path} one of '{b.benchmark}'",
            "compare runs of one benchmark",
        )
    return BENCHMARKS.get(kinds.pop()) if kinds else None


def _measure(benchmark: Measures | None, name: str, runs: Sequence[Run]) -> Measure:
    if not name:
        if benchmark is None:
            raise UsageError(
                f"{runs[0].path}: unknown kind of run", "name the field to compare with --metric"
            )
        return benchmark.decides
    known = benchmark.find(name) if benchmark else None
    if known is not None:
        return known
    numbers = {
        key
        for run in runs
        for row in run.rows
        for key, value in row.items()
        if isinstance(value, int | float)
    }
    if name not in numbers:
        names = [*(m.name for m in benchmark.all)] if benchmark else []
        raise UsageError(
            f"--metric {name}: no measure and no numeric field of the rows"
            f"{did_you_mean(name, [*names, *numbers])}",
            f"measures: {', '.join(names) or 'unknown'}; fields: {', '.join(sorted(numbers))}",
        )

    def number(row: Row) -> float | None:
        value = row.get(name)
        return value if isinstance(value, int | float) else None

    values = [number(row) for run in runs for row in run.rows]
    bounded = all(0 <= value <= 1 for value in values if value is not None)
    return Measure(name, number, "rate" if bounded else "number")


def report(result: dict[str, Any]) -> Iterator[str]:
    """The comparison as text: every headline measure, then the uncertainty of the main measure."""
    paired, unit = result["paired"], result["unit"]
    yield f"A {result['a']}\nB {result['b']}"
    yield f"{result['n_tasks']} tasks in {result['n_groups']} groups; paired, groups resampled:"
    decides = {"mean_a": result["mean_a"], "mean_b": result["mean_b"], "unit": unit, **paired}
    lines = [
        [
            name,
            tables.with_unit(value["mean_a"], value["unit"]),
            tables.with_unit(value["mean_b"], value["unit"]),
            tables.difference(value, value["unit"]),
            _p(value["p_value"]),
            value["n"],
        ]
        for name, value in {result["metric"]: decides, **result["other_metrics"]}.items()
    ]
    yield console.table(["measure", "A [95 %]", "B [95 %]", "B − A [95 %]", "", "tasks"], lines)
    for field, parts in result["by"].items():
        if len(parts) > 1:
            rows = [[value, tables.difference(part, unit), part["n"]] for value, part in parts.items()]
            yield console.table([f"{result['metric']} by {field}", "B − A [95 %]", "tasks"], rows)
    if result["n_groups"] < _FEW_GROUPS:
        yield f"caution: with {result['n_groups']} groups the intervals are too narrow"
    if unit == "rate":
        exact = "" if result["mcnemar_p"] is None else f"; McNemar {_p(result['mcnemar_p'])}"
        yield f"{result['metric']}: gained {result['n_gained']}, lost {result['n_lost']}{exact}"
        if paired["mde"] is not None:
            found = f"{100 * paired['mde']:.1f} points" if paired["mde"] <= 1 else "none"
            yield f"smallest difference this comparison would find (80 %): {found}"
        equivalence = result["equivalence"]
        for key, words in (("not_worse", "B is no worse than A by"), ("equivalent", "B equals A within")):
            shown = "shown" if equivalence[key] else "not shown"
            yield f"{words} {100 * equivalence['margin']:g} points: {shown}"
    if result["only_in_a"] or result["only_in_b"]:
        yield f"left out: {result['only_in_a']} tasks only in A, {result['only_in_b']} only in B"


def _p(value: float) -> str:
    return f"p {value:.3g}" if value >= 1e-4 else "p < 0.0001"
