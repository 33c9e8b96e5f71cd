"""The files of a shard, made from one unit of input.

Invariant: a shard's `keys` file is written last; if it exists, the shard is complete.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rulewright import jsonl


@dataclass(frozen=True)
class Shard:
    number: int
    path: str
    """Of the input file."""
    n_rows: int
    n_kept: int
    dropped: Counter[str]
    flagged: Counter[str]


def shard_path(work: Path, number: int, kind: str) -> Path:
    """`kind` is `records`, `rejects`, `counts` or `keys`."""
    return work / "shards" / f"{number:07d}.{kind}"


def whole(path: Path) -> jsonl.atomic:
    """A file of a shard: to force each to disk would cost more than the work, which can be done again."""
    return jsonl.atomic(path, sync=False)


def write_summary(work: Path, shard: Shard) -> None:
    counts = {
        "path": shard.path, "rows": shard.n_rows, "kept": shard.n_kept,
        "dropped": shard.dropped, "flagged": shard.flagged,
    }  # fmt: skip
    with whole(shard_path(work, shard.number, "counts")) as stream:
        stream.write(json.dumps(counts).encode())


def read_summary(work: Path, number: int) -> Shard:
    facts = json.loads(shard_path(work, number, "counts").read_bytes())
    return Shard(
        number,
        facts["path"],
        facts["rows"],
        facts["kept"],
        Counter(facts["dropped"]),
        Counter(facts["flagged"]),
    )
