"""The last step of `synth`: choose, write the splits, say how diverse they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rulewright import console, jsonl
from rulewright.data import store
from rulewright.data.schemas import NormalizedRecord
from rulewright.synth import collect
from rulewright.synth.diversity import Diversity
from rulewright.synth.shards import SOURCE
from rulewright.synth.siblings import Pool

PER_EDIT = 2
"""How often one edit may occur, each time in other words."""


def write(
    paths: Sequence[Path],
    out: Path,
    negatives: Path,
    version: str,
    per_template_cap: int,
    max_share: float,
    limit: int = 0,
    siblings: int = 0,
) -> dict[str, Any]:
    """Write the data set and its diversity report; give the summary.

    Raises:
        RulewrightError: not one record was made.
    """
    candidates, dropped = collect.scan(paths)
    edits = [candidate for candidate in candidates if candidate.shape != "negative"]
    nothing = [candidate for candidate in candidates if candidate.shape == "negative"]
    choice = collect.choose(edits, per_template_cap, max_share, PER_EDIT, limit)
    idle = collect.choose(nothing, per_template_cap, max_share, 1, limit)
    console.decided("most records a template", choice.cap or "no bound", choice.cap_reason)
    pool = Pool(collect.rows(paths, choice.kept), collect.rows(paths, idle.kept)) if siblings else None
    diversity = Diversity()
    metadata = store.write_dataset(
        _records(collect.rows(paths, choice.kept), diversity, pool, siblings),
        out,
        SOURCE,
        license="mixed",
        version=version,
        rows_in=len(edits),
        dropped=choice.dropped,
        notes=["code before each edit is degraded by machine; code after it is real"],
    )
    n_negatives = jsonl.write(negatives, map(_plain, collect.rows(paths, idle.kept))) if idle.kept else 0
    summary = {
        "num_records": metadata.num_records,
        "splits": metadata.splits,
        "languages": metadata.languages,
        "dropped": metadata.dropped,
        "refused_while_making": dict(dropped.most_common()),
        "negatives": n_negatives,
        "most_per_template": choice.cap,
        "diversity": diversity.summary(),
    }
    jsonl.write_json(out / f"{SOURCE}.diversity.json", summary)
    console.say(diversity.page(metadata.splits, n_negatives))
    return summary


def _records(
    rows: Iterable[dict[str, Any]], diversity: Diversity, pool: Pool | None, siblings: int
) -> Iterator[NormalizedRecord]:
    for row in rows:
        if pool is not None:
            row["metadata"] |= {"siblings": None} | pool.known(row, siblings)
        row = _plain(row)
        diversity.add(row)
        yield NormalizedRecord.model_validate(row)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The record without what only the choice needed."""
    return {key: value for key, value in row.items() if key != "split"}
