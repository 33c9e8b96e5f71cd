"""The page of a matrix: each method compared with the baseline, from saved rows only.

A task's value is its mean over samples (or its best sample), then over seeds; intervals and
differences resample groups of tasks. Seeds are too few to resample: each one's mean is shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console, jsonl, templates
from rulewright.evaluation import compare, tables
from rulewright.evaluation.measures import BENCHMARKS, Measure, Row

Json = dict[str, Any]
HEAD: Final = (
    "method",
    "value [95 % interval]",
    "each seed",
    "difference to {}",
    "literal",
    "tasks",
    "groups",
)


class Trained(NamedTuple):
    """A method and where its models were measured."""

    name: str
    about: str
    folders: Mapping[int, Path]
    """By seed, those that have been measured and those that are still owed."""
    seconds: float | None
    """Wall time of the training, mean of the seeds; `None` where nothing is trained."""


class Wanted(NamedTuple):
    """A measurement."""

    name: str
    about: str
    best: bool
    """A task counts as its best sample does."""


def gather(methods: Sequence[Trained], wanted: Sequence[Wanted], baseline: str, about: str) -> Json:
    """Collect everything that the page shows.

    Args:
        methods: in the order of the rows.
        wanted: in the order of the tables.
        baseline: name of the method that the others are compared with.
        about: for the head of the page.
    """
    owed = []
    for method in methods:
        for seed, folder in method.folders.items():
            names = [one.name for one in wanted if not (folder / one.name / "result.json").exists()]
            if names:
                some = f": {', '.join(names)}" if len(names) < len(wanted) else ""
                owed.append(f"{method.name}, seed {seed}{some}")
    found = [_table(methods, one, baseline) for one in wanted]
    return {
        "about": about,
        "baseline": baseline,
        "methods": [
            {"name": method.name, "about": method.about, "seconds": method.seconds} for method in methods
        ],
        "measured": [table for table in found if table is not None],
        "owed": owed,
    }


class _Values(NamedTuple):
    """One method on one measurement."""

    tasks: dict[str, float]
    groups: dict[str, str]
    by_seed: list[float]
    literal: float | None
    """Share of the right answers that have no metavariable."""


def _table(methods: Sequence[Trained], one: Wanted, baseline: str) -> Json | None:
    runs = {
        method.name: [
            compare.read_run(folder / one.name)
            for folder in method.folders.values()
            if (folder / one.name / "result.json").exists()
        ]
        for method in methods
    }
    kinds = {run.benchmark for some in runs.values() for run in some}
    if not kinds:
        return None
    measure = BENCHMARKS[kinds.pop()].decides
    values = {
        name: _values([run.rows for run in some], measure, one.best) for name, some in runs.items() if some
    }
    return {
        "name": one.name,
        "about": one.about,
        "metric": measure.name,
        "best": one.best,
        "rows": [_row(name, values[name], values.get(baseline), measure) for name in values],
    }


def _values(runs: Sequence[Sequence[Row]], measure: Measure, best: bool) -> _Values:
    of = max if best else statistics.fmean
    seeds = [tables.per_task(tables.counted(rows), measure.read, of) for rows in runs]
    together: dict[str, list[float]] = {}
    for seed in seeds:
        for task, value in seed.items():
            together.setdefault(task, []).append(value)
    rows = [row for some in runs for row in some]
    right = [row["literal"] for row in rows if measure.read(row) and row.get("literal") is not None]
    return _Values(
        {task: statistics.fmean(some) for task, some in together.items()},
        tables.groups_of(rows),
        [statistics.fmean(seed.values()) for seed in seeds if seed],
        statistics.fmean(right) if right else None,
    )


def _row(name: str, values: _Values, baseline: _Values | None, measure: Measure) -> Json:
    other = values if baseline is None else baseline
    pair = compare.PairedValues(other.tasks, values.tasks, values.groups, measure, 0)
    return {
        "method": name,
        "estimate": pair.mean(values.tasks, sorted(values.tasks)),
        "by_seed": [round(value, 6) for value in values.by_seed],
        "literal": values.literal,
        "paired": pair.paired(pair.both).to_dict() if other is not values and pair.both else None,
    }


def learned(found: Json) -> list[str]:
    """What each table shows and what it does not, in sentences."""
    said, baseline = [], found["baseline"]
    for table in found["measured"]:
        compared = [row for row in table["rows"] if row["paired"] is not None]
        above = [row for row in compared if row["paired"]["low"] > 0]
        below = [row for row in compared if row["paired"]["high"] < 0]
        for word, some in (("above", above), ("below", below)):
            if some:
                listing = ", ".join(f"{row['method']} {tables.difference(row['paired'])}" for row in some)
                said.append(f"{table['about']}: {word} {baseline}: {listing}.")
        unclear = [row for row in compared if row["paired"]["low"] <= 0 <= row["paired"]["high"]]
        if unclear:
            # The smallest difference that would mostly have been found, where one can be given.
            finds = [row["paired"]["mde"] for row in unclear]
            listing = ", ".join(
                row["method"] + ("" if mde is None else f" (finds {100 * mde:.0f} points or more)")
                for row, mde in zip(unclear, finds, strict=True)
            )
            said.append(f"{table['about']}: no difference to {baseline} is shown for {listing}.")
    return said


def rows_of(table: Json) -> list[list[str]]:
    """A measurement's table, a row a method."""
    return [
        [
            row["method"],
            tables.with_unit(row["estimate"], "rate"),
            " ".join(f"{100 * value:.1f}" for value in row["by_seed"]),
            tables.difference(row["paired"]) if row["paired"] else "–",
            f"{100 * row['literal']:.0f} %" if row["literal"] is not None else "–",
            str(row["estimate"]["n"]),
            str(row["estimate"]["n_groups"]),
        ]
        for row in table["rows"]
    ]


def head_of(found: Json) -> list[str]:
    """The columns of every table."""
    return [name.format(found["baseline"]) for name in HEAD]


def text(found: Json) -> str:
    """All tables for a terminal."""
    parts = [
        f"{table['about']}\n{console.table(head_of(found), rows_of(table))}\n" for table in found["measured"]
    ]
    return "\n".join([*parts, *learned(found)])


def write(found: Json, out: Path) -> None:
    """Write the page (.md), and its figures beside it (.json)."""
    page = templates.render(
        "methods.md.jinja",
        **found,
        head=head_of(found),
        shown=[(table, rows_of(table)) for table in found["measured"]],
        costs=[
            [one["name"], one["about"], "–" if one["seconds"] is None else f"{one['seconds'] / 60:.1f} min"]
            for one in found["methods"]
        ],
        sentences=learned(found),
    )
    jsonl.write_text(out, page)
    jsonl.write_json(out.with_suffix(".json"), found)
