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
from rulewright.synth.settings import SynthConfig
from rulewright.synth.shards import SOURCE
from rulewright.synth.siblings import Pool

PER_EDIT = 2
"""How often one edit may occur, each time in other words."""


def write(paths: Sequence[Path], config: SynthConfig, version: str) -> dict[str, Any]:
    """Write the data set and its diversity report; give the summary.

    Raises:
        RulewrightError: not one record was made.
    """
    candidates, dropped = collect.scan(paths)
    edits = [candidate for candidate in candidates if candidate.shape != "negative"]
    nothing = [candidate for candidate in candidates if candidate.shape == "negative"]
    bounds = config.per_template_cap, config.max_template_share
    choice = collect.choose(edits, *bounds, PER_EDIT, config.limit)
    idle = collect.choose(nothing, *bounds, 1, config.limit)
    console.decided("most records a template", choice.cap or "no bound", choice.cap_reason)
    pool = Pool(collect.rows(paths, choice.kept), collect.rows(paths, idle.kept)) if config.siblings else None
    diversity = Diversity()
    metadata = store.write_dataset(
        _records(collect.rows(paths, choice.kept), diversity, pool, config.siblings),
        config.out,
        SOURCE,
        license="mixed",
        version=version,
        rows_in=len(edits),
        dropped=choice.dropped,
        notes=["code before each edit is degraded by machine; code after it is real"],
    )
    rows = map(_plain, collect.rows(paths, idle.kept))
    n_negatives = jsonl.write(config.negatives, rows) if idle.kept else 0
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
    jsonl.write_json(config.out / f"{SOURCE}.diversity.json", summary)
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
