"""Compute estimates from rows: overall, by family, tag, language and source."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rulewright import console
from rulewright.actions import Action, is_literal
from rulewright.evaluation.measures import Measure, Measures, Metric, Row, Unit
from rulewright.stats import estimate, pass_at_k, quantile
from rulewright.verdict import INVALID, Outcome, Verdict

BREAKDOWNS: Final = ("family", "tags", "language", "source")
_PASS_AT: Final = frozenset({1, 5, 10, 20, 100})


def counted(rows: Iterable[Row]) -> list[Row]:
    """Rows that say something about the model: `infra` is our fault, and left out."""
    return [row for row in rows if row["verdict"] != Verdict.INFRA.value]


def per_task(
    rows: Iterable[Row], metric: Metric, of: Callable[[list[float]], float] = statistics.fmean
) -> dict[str, float]:
    """A metric by task: the mean of its samples, or what else `of` makes of them."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = metric(row)
        if value is not None:
            values.setdefault(row["task"], []).append(float(value))
    return {task: of(found) for task, found in values.items()}


def groups_of(rows: Iterable[Row]) -> dict[str, str]:
    return {row["task"]: row["group"] for row in rows}


def summary(rows: Sequence[Row], measures: Measures, seed: int) -> dict[str, Any]:
    """What every benchmark says of its rows; intervals are clustered by group."""
    usable = counted(rows)
    return {
        "n_tasks": len({row["task"] for row in usable}),
        "n_samples": len(usable),
        "n_infra": len(rows) - len(usable),
        "metrics": estimates(usable, measures.all, seed),
        "pass_at": pass_at(usable, lambda row: measures.decides.read(row) == 1, seed),
        "verdicts": dict(Counter(row["verdict"] for row in rows).most_common()),
        "cost": {
            "answer_tokens": spread([row["n_tokens"] for row in usable]),
            "prompt_tokens": spread([row["n_prompt_tokens"] for row in usable if row["n_prompt_tokens"]]),
            "finish_reasons": dict(Counter(row["finish_reason"] for row in usable)),
        },
    }


def estimates(rows: Sequence[Row], measures: Iterable[Measure], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Every measure over all tasks, clustered by group."""
    groups = groups_of(rows)
    found = {}
    for measure in measures:
        values = per_task(rows, measure.read)
        of = [groups[task] for task in values]
        found[measure.name] = estimate(list(values.values()), of, seed, measure.unit == "rate").to_dict()
    return found


def parts(rows: Iterable[Row], field: str) -> dict[str, list[Row]]:
    """Rows by the values of a field, most tasks first; a row counts under each value of a list."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        values = row.get(field)
        for value in values if isinstance(values, list) else [values]:
            if value is not None:
                found.setdefault(str(value), []).append(row)
    return dict(sorted(found.items(), key=lambda item: (-len({row["task"] for row in item[1]}), item[0])))


def breakdown(
    rows: Sequence[Row], measures: Sequence[Measure], seed: int = 0, by: Sequence[str] = BREAKDOWNS
) -> dict[str, dict[str, Any]]:
    """`{field: {value: {measure: estimate}}}`, most tasks first."""
    table = {name: parts(rows, name) for name in by}
    return {
        name: {value: estimates(some, measures, seed) for value, some in found.items()}
        for name, found in table.items()
        if found
    }


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


def about(outcome: Outcome, action: Action | None) -> Row:
    """What a row says of an executed action, whatever came of it; `None`: there was none to execute."""
    return {
        "valid": outcome.verdict not in INVALID,
        "literal": float(action is not None and is_literal(action)),
        "n_rules": outcome.n_rules,
        "n_matches": outcome.n_matches,
        "matches_per_rule": list(outcome.matches_per_rule),
        "flags": sorted(flag.value for flag in outcome.flags),
        "tidied": outcome.tidied,
    }


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, median, 90th percentile and maximum of a quantity."""
    if not values:
        return {"n": 0, "mean": None, "median": None, "p90": None, "max": None}
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "mean": round(statistics.fmean(ordered), 4),
        "median": statistics.median(ordered),
        "p90": quantile(ordered, 0.9),
        "max": ordered[-1],
    }


def with_unit(value: Mapping[str, Any], unit: Unit = "rate") -> str:
    """`61.3 [55.0, 67.2] %`; numbers with two decimals and no unit."""
    if not value["n"]:
        return "–"
    scale, digits, sign = (100, 1, " %") if unit == "rate" else (1, 2, "")
    low, high = value["low"], value["high"]
    interval = "" if low is None else f" [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    return f"{scale * value['value']:.{digits}f}{interval}{sign}"


def difference(paired: Mapping[str, Any], unit: Unit = "rate") -> str:
    """`+4.7 [+2.4, +8.6] points`; numbers without a unit."""
    scale, digits, word = (100, 1, " points") if unit == "rate" else (1, 2, "")
    low, high = paired["low"], paired["high"]
    interval = "" if low is None else f" [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}]"
    return f"{scale * paired['difference']:+.{digits}f}{interval}{word}"


def text(title: str, metrics: Mapping[str, Mapping[str, Any]], measures: Measures) -> str:
    """A titled table of estimates, rates in percent."""
    lines = []
    for name, value in metrics.items():
        measure = measures.find(name)
        unit = measure.unit if measure else "rate"
        lines.append([name, with_unit(value, unit), value["n"], value["n_groups"]])
    return f"{title}\n" + console.table(["metric", "value [95 % interval]", "tasks", "groups"], lines)
