"""Rows of a CanItEdit run → pass@k, ExcessCode, diff ratio, rules, by kind and change kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rulewright import console
from rulewright.evaluation import tables
from rulewright.evaluation.canitedit.data import BROKEN_IN_CONTAINER, KINDS
from rulewright.evaluation.canitedit.excess import aggregate
from rulewright.evaluation.harness import Row
from rulewright.evaluation.measures import CANITEDIT, Measure


def summarize(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Everything the rows say; intervals are clustered by problem."""
    usable = tables.counted(rows)
    # A request that the server refused has no status at all.
    ran = [row for row in rows if row.get("official", "infra") != "infra"]
    acted = [row for row in usable if "n_rules" in row]
    by_kind = {kind: [row for row in ran if row["kind"] == kind] for kind in KINDS}
    without_78 = [row for row in ran if row["problem"] != BROKEN_IN_CONTAINER]
    return {
        **tables.summary(rows, CANITEDIT, seed),
        "n_problems": len({row["problem"] for row in usable}),
        "infra_problems": sorted({row["problem"] for row in rows} - {row["problem"] for row in usable}),
        "metrics": tables.estimates(ran, CANITEDIT.all, seed),
        "kinds": {
            kind: {"metrics": tables.estimates(some, CANITEDIT.all, seed), "excess_code": excess_code(some)}
            for kind, some in by_kind.items()
        },
        "official_pass_at": tables.pass_at(ran, lambda row: row["official_passed"] == 1, seed),
        "excess_code": excess_code(ran),
        "diff_ratio": tables.spread([r["diff_ratio"] for r in usable if r["diff_ratio"] is not None]),
        "official": dict(Counter(row.get("official", "infra") for row in rows).most_common()),
        "extraction": dict(Counter(row["extraction"] for row in rows if "extraction" in row).most_common()),
        "without_78": tables.estimates(without_78, CANITEDIT.all, seed),
        "actions": _actions(acted, seed) if acted else None,
        "by": tables.breakdown(ran, CANITEDIT.all, seed, ("change_kind", "in_place")),
    }


def excess_code(rows: Sequence[Row]) -> dict[str, Any]:
    """ExcessCode over items: completions that pass officially and have coverage."""
    by_item: dict[str, list[float]] = {}
    for row in rows:
        if row["official_passed"] and row["excess"] is not None:
            by_item.setdefault(row["task"], []).append(row["excess"])
    return aggregate(by_item)


def _actions(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    valid = [row for row in rows if row["valid"]]
    flagged = (
        Measure("pass@1, not flagged", lambda row: row["passed"] and not row["flags"]),
        Measure("tidied", lambda row: row["tidied"]),
    )
    return {
        "verdicts": dict(Counter(row["action_verdict"] for row in rows).most_common()),
        "flags": dict(Counter(flag for row in valid for flag in row["flags"]).most_common()),
        "metrics": tables.estimates(rows, flagged, seed),
        "rules_per_task": tables.spread([row["n_rules"] for row in valid]),
        "rules_per_pass": tables.spread([row["n_rules"] for row in rows if row["passed"]]),
        "matches_per_rule": tables.spread([m for row in valid for m in row["matches_per_rule"]]),
    }


def report(result: Mapping[str, Any]) -> Iterator[str]:
    """The result as text for the terminal."""
    yield f"{result['run']}: {result['n_problems']} problems, {result['n_samples']} answers"
    lines = []
    for measure in CANITEDIT.headline:
        parts = [*(part["metrics"] for part in result["kinds"].values()), result["metrics"]]
        if result["metrics"][measure.name]["n"]:
            lines.append([measure.name, *(tables.with_unit(p[measure.name], measure.unit) for p in parts)])
    excess = [*(part["excess_code"] for part in result["kinds"].values()), result["excess_code"]]
    cells = (
        "–" if e["value"] is None else f"{e['value']:.2f} ± {e['se']:.2f} ({e['n_items']})" for e in excess
    )
    lines.append(["ExcessCode ± SE, official", *cells])
    yield console.table(["", *KINDS, "all"], lines)
    ratio = result["diff_ratio"]
    if ratio["n"]:
        yield f"changed lines over the reference's: median {ratio['median']}, p90 {ratio['p90']}"
    yield console.counted("verdicts:", result["verdicts"])
    if result["infra_problems"]:
        yield f"not run here (infra): problems {', '.join(map(str, result['infra_problems']))}"
    if not result["known_data"]:
        yield "the data is not the known copy of the benchmark: do not compare with published numbers"
