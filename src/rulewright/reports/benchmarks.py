"""The report's tables of benchmark runs: models side by side, and their differences with intervals.

Pure functions of what `stage2.gather` read. Runs are in the order of the stages: models
that the report does not list (base models) first, then Stage 0, Stage 1, SRL, GRPO.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright.evaluation import compare, tables
from rulewright.evaluation.canitedit.data import KINDS
from rulewright.evaluation.measures import CANITEDIT, EDITS, Measure

Json = dict[str, Any]
Table = tuple[Sequence[str], list[list[str]]]

PARTS: Final = {"canitedit": ("kind", "change_kind"), "edits": ("source",)}
"""Fields that the report breaks a difference down by; families have their own table."""
REGRESSION_HEAD: Final = (
    "run", "model", "source", "tasks", "exact [95 %]", "change similarity [95 %]",
    "exact, change since Stage 0", "similarity, change since Stage 0",
)  # fmt: skip
DIFFERENCE_HEAD: Final = (
    "earlier", "later", "measure", "of", "earlier's", "later's", "difference [95 %]", "gained", "lost",
    "tasks",
)  # fmt: skip


def model_of(run: Mapping[str, Any]) -> str:
    """The model's name, or which prepared answers stood in for one."""
    return f"gold: {run['gold']}" if run["gold"] else Path(run["model"]).name or "–"


def in_order(runs: Iterable[Json], models: Sequence[str]) -> list[Json]:
    """Runs by the place of their model among the stages; base models first, prepared answers last."""

    def place(run: Json) -> tuple[bool, int, str]:
        name = Path(run["model"]).name
        return bool(run["gold"]), models.index(name) if name in models else -1, run["name"]

    return sorted(runs, key=place)


def comparisons(runs: Sequence[Json], wanted: Sequence[tuple[Path, Path]], reference: str) -> list[Json]:
    """Compare what was asked for, then the runs of each benchmark on the same data.

    Args:
        runs: in the order of the stages.
        wanted: pairs of run folders that the user named.
        reference: name of the Stage 0 model, which held-out edits are compared with.

    Raises:
        UsageError: a folder that was named holds no run.
    """
    read = {run["path"]: compare.read_run(Path(run["path"])) for run in runs if not run["gold"]}
    found: dict[tuple[str, str], Json] = {}
    for a, b in wanted:
        runs_ab = [read.get(str(path)) or compare.read_run(path) for path in (a, b)]
        found[str(a), str(b)] = _compare(*runs_ab)
    sets: dict[tuple[str, str], list[Json]] = {}
    for run in runs:
        if run["path"] in read:
            sets.setdefault((run["benchmark"], str(run["data"])), []).append(run)
    for alike in sets.values():
        chosen = [(alike[i], alike[j]) for i, j in compare.pairs(len(alike))]
        if alike[0]["benchmark"] == EDITS.name:
            stage0 = next((run for run in alike if Path(run["model"]).name == reference), alike[0])
            chosen += [(stage0, run) for run in alike[alike.index(stage0) + 1 :]]
        for earlier, later in chosen:
            pair = read[earlier["path"]], read[later["path"]]
            key = earlier["path"], later["path"]
            if key not in found and compare.share_tasks(*pair):
                found[key] = _compare(*pair)
    return list(found.values())


def _compare(a: compare.Run, b: compare.Run) -> Json:
    result = compare.compare(a, b, by=PARTS.get(a.benchmark or b.benchmark, ()))
    if result["benchmark"] == EDITS.name:
        similarity = compare.compare(a, b, "change_similarity", by=("source",))
        result["similarity_by_source"] = similarity["by"]["source"]
    return result


def canitedit(runs: Iterable[Json]) -> list[Table]:
    """One table for each copy of the benchmark: a column a run, prepared answers left out."""
    sets: dict[str, list[Json]] = {}
    for run in runs:
        if run["benchmark"] == CANITEDIT.name and not run["gold"]:
            sets.setdefault(str(run["data"]), []).append(run)
    return [_side_by_side(alike) for alike in sets.values()]


def _side_by_side(runs: Sequence[Json]) -> Table:
    results = [run["result"] for run in runs]
    rows = [
        ["model", *map(model_of, runs)],
        ["track", *(run["track"] for run in runs)],
        ["problems, answers", *(f"{r['n_problems']}, {r['n_samples']:,}" for r in results)],
    ]
    for measure in CANITEDIT.headline:
        rows.append([f"{measure.name}, all", *(_shown(r["metrics"], measure) for r in results)])
        rows += [
            [f"– {kind}", *(_shown(r["kinds"].get(kind, {}).get("metrics", {}), measure) for r in results)]
            for kind in KINDS
        ]
    decides = CANITEDIT.decides
    kinds = sorted({kind for r in results for kind in r["by"].get("change_kind", {}) if kind})
    rows += [
        [f"{decides.name}, {kind}", *(_shown(r["by"]["change_kind"].get(kind, {}), decides) for r in results)]
        for kind in kinds
    ]
    return ("", *(run["name"] for run in runs)), rows


def _shown(estimates: Mapping[str, Any], measure: Measure) -> str:
    found = estimates.get(measure.name)
    return "–" if found is None or not found["n"] else tables.with_unit(found, measure.unit)


def regression(found: Mapping[str, Any]) -> list[list[str]]:
    """Held-out text edits by source, each later model against Stage 0 (else the first run)."""
    against = {(item["a"], item["b"]): item for item in found["comparisons"]}
    sets: dict[str, list[Json]] = {}
    for run in found["evals"]:
        if run["benchmark"] == EDITS.name:
            sets.setdefault(str(run["data"]), []).append(run)
    rows = []
    for runs in sets.values():
        stage0 = next((r for r in runs if Path(r["model"]).name == found["reference"]), runs[0])
        for run in runs:
            item = against.get((stage0["path"], run["path"]))
            for source, part in run["result"]["by"].get("source", {}).items():
                exact, similarity = part["exact"], part["change_similarity"]
                rows.append(
                    [
                        run["name"],
                        model_of(run),
                        source,
                        str(exact["n"]),
                        tables.with_unit(exact, "rate"),
                        tables.with_unit(similarity, "rate"),
                        _since(item and item["by"]["source"], source),
                        _since(item and item["similarity_by_source"], source),
                    ]
                )
    return rows


def _since(parts: Mapping[str, Any] | None, source: str) -> str:
    return tables.difference(parts[source]) if parts and source in parts else "–"


def mining(runs: Iterable[Json]) -> Table:
    """Every estimate of every mining run."""
    rows = [
        [
            run["name"],
            name,
            tables.with_unit(value, "number" if name == "cpu_s_mean" else "rate"),
            str(value["n"]),
        ]
        for run in runs
        if run["benchmark"] == "mining"
        for name, value in run["result"]["estimates"].items()
    ]
    return ("run", "measure", "value [95 %]", "n"), rows


def differences(found: Mapping[str, Any]) -> list[list[str]]:
    """Every comparison: each headline measure, then the deciding one by part."""
    rows: list[list[str]] = []
    for item in found["comparisons"]:
        names = [Path(item["a"]).name, Path(item["b"]).name]
        decides = {"mean_a": item["mean_a"], "mean_b": item["mean_b"], **item["paired"]}
        flips = [str(item["n_gained"]), str(item["n_lost"])]
        rows.append(_difference([*names, item["metric"], "all"], decides, item["unit"], flips))
        rows += [
            _difference([*names, name, "all"], value, value["unit"], ["", ""])
            for name, value in item["other_metrics"].items()
        ]
        for parts in item["by"].values():
            if len(parts) > 1:
                rows += [
                    _difference([*names, item["metric"], value], part, item["unit"], ["", ""])
                    for value, part in parts.items()
                ]
    return rows


def _difference(first: Sequence[str], value: Mapping[str, Any], unit: Any, flips: Sequence[str]) -> list[str]:
    means = [tables.with_unit(value[key], unit) if key in value else "" for key in ("mean_a", "mean_b")]
    return [*first, *means, tables.difference(value, unit), *flips, str(value["n"])]
