"""From rows to estimates: overall, by family, tag, language and source."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rulewright import console
from rulewright.evaluation.measures import Benchmark, Metric, Row, Unit
from rulewright.evaluation.stats import Estimate, estimate, pass_at_k
from rulewright.verdict import Verdict

BREAKDOWNS: Final = ("family", "tags", "language", "source")
_PASS_AT: Final = frozenset({1, 5, 10, 20, 100})


def counted(rows: Iterable[Row]) -> list[Row]:
    """Rows that say something about the model: `infra` is our fault, and left out."""
    return [row for row in rows if row["verdict"] != Verdict.INFRA.value]


def per_task(rows: Iterable[Row], metric: Metric) -> dict[str, float]:
    """Mean of a metric over each task's samples."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = metric(row)
        if value is not None:
            values.setdefault(row["task"], []).append(float(value))
    return {task: statistics.fmean(found) for task, found in values.items()}


def groups_of(rows: Iterable[Row]) -> dict[str, str]:
    return {row["task"]: row["group"] for row in rows}


def estimate_rows(rows: Sequence[Row], metric: Metric, seed: int = 0, rate: bool = True) -> Estimate:
    """Estimate a metric over tasks, clustered by group."""
    values = per_task(rows, metric)
    groups = groups_of(rows)
    return estimate(list(values.values()), [groups[task] for task in values], seed, rate)


def estimates(
    rows: Sequence[Row], metrics: Mapping[str, Metric], seed: int = 0, unbounded: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Every metric over all rows; `unbounded` names those that are no rates."""
    return {
        name: estimate_rows(rows, metric, seed, rate=name not in unbounded).to_dict()
        for name, metric in metrics.items()
    }


def breakdown(
    rows: Sequence[Row],
    metrics: Mapping[str, Metric],
    seed: int = 0,
    by: Sequence[str] = BREAKDOWNS,
    unbounded: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """`{field: {value: {metric: estimate}}}`, most tasks first; a row counts under each of its tags."""
    table: dict[str, dict[str, Any]] = {}
    for name in by:
        parts: dict[str, list[Row]] = {}
        for row in rows:
            values = row.get(name)
            for value in values if isinstance(values, list) else [values]:
                if value is not None:
                    parts.setdefault(str(value), []).append(row)
        order = sorted(parts, key=lambda value: (-len({row["task"] for row in parts[value]}), value))
        if order:
            table[name] = {value: estimates(parts[value], metrics, seed, unbounded) for value in order}
    return table


def pass_at(rows: Sequence[Row], passed: Callable[[Row], bool], seed: int = 0) -> dict[str, dict[str, Any]]:
    """pass@k for the usual k that the samples allow, and for as many tries as there are."""
    outcomes: dict[str, list[bool]] = {}
    for row in rows:
        outcomes.setdefault(row["task"], []).append(passed(row))
    if not outcomes:
        return {}
    groups = groups_of(rows)
    n = min(map(len, outcomes.values()))
    found = {}
    for k in sorted(k for k in _PASS_AT | {n} if k <= n):
        values = [pass_at_k(len(results), sum(results), k) for results in outcomes.values()]
        found[f"pass@{k}"] = estimate(values, [groups[task] for task in outcomes], seed).to_dict()
    return found


def verdicts(rows: Iterable[Row]) -> dict[str, int]:
    """How often each verdict, the most frequent first."""
    counts = Counter(row["verdict"] for row in rows)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, median, 90th percentile and maximum of a quantity."""
    if not values:
        return {"n": 0, "mean": None, "median": None, "p90": None, "max": None}
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "mean": round(statistics.fmean(ordered), 4),
        "median": statistics.median(ordered),
        "p90": ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))],
        "max": ordered[-1],
    }


def cost(rows: Sequence[Row]) -> dict[str, Any]:
    """Tokens written and read, how answers ended."""
    return {
        "answer_tokens": spread([row["n_tokens"] for row in rows]),
        "prompt_tokens": spread([row["n_prompt_tokens"] for row in rows if row["n_prompt_tokens"]]),
        "finish_reasons": dict(Counter(row["finish_reason"] for row in rows)),
    }


def cell(value: Mapping[str, Any], unit: Unit = "rate") -> str:
    """`61.3 [55.0, 67.2]`: rates in percent, numbers with two decimals."""
    if not value["n"]:
        return "–"
    scale, digits = (100, 1) if unit == "rate" else (1, 2)
    mean = f"{scale * value['value']:.{digits}f}"
    if value["low"] is None:
        return mean
    return f"{mean} [{scale * value['low']:.{digits}f}, {scale * value['high']:.{digits}f}]"


def with_unit(value: Mapping[str, Any], unit: Unit) -> str:
    """A cell that says itself when it is in percent."""
    text = cell(value, unit)
    return f"{text} %" if unit == "rate" and value["n"] else text


def difference(paired: Mapping[str, Any], unit: Unit = "rate") -> str:
    """`+4.7 [+2.4, +8.6] points`; numbers without a unit."""
    scale, digits, word = (100, 1, " points") if unit == "rate" else (1, 2, "")
    low, high = paired["low"], paired["high"]
    interval = "" if low is None else f" [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}]"
    return f"{scale * paired['difference']:+.{digits}f}{interval}{word}"


def show(title: str, metrics: Mapping[str, Mapping[str, Any]], benchmark: Benchmark) -> None:
    """Say a table of estimates, rates in percent."""
    lines = []
    for name, value in metrics.items():
        measure = benchmark.find(name)
        unit = measure.unit if measure else "rate"
        lines.append([name, with_unit(value, unit), value["n"], value["n_groups"]])
    console.say(title)
    console.say(console.table(["metric", "value [95 % interval]", "tasks", "groups"], lines))
