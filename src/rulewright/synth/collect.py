"""Shards of candidates → the data set: deduplicated, capped by template, in a fixed order.

Invariant: the outcome depends only on the shards' contents. No text stands both in
`train` and in `dev` or `test`; no template has more than its share.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl
from rulewright.data.splits import uniform

_SPACE: Final = re.compile(r"\s+")
MIN_FOR_SHARE: Final = 1_000
"""Below so many records a share says nothing."""


@dataclass(frozen=True)
class ShardRow:
    """What the choice needs to know of a record; its text stays on disk."""

    shard: int
    line: int
    id: str
    split: str
    names: tuple[str, ...]
    """Of its templates."""
    shape: str
    edit: bytes
    """Digest of language, pre and post: the same edit asked for in other words."""
    code: bytes
    """Digest of the real code, without white space."""


@dataclass
class ChosenRows:
    """Which records stay, and why the others do not."""

    kept: set[tuple[int, int]] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)
    cap: int = 0
    """Records that a template may have at most; 0: no cap."""
    cap_reason: str = ""


def scan(paths: Sequence[Path]) -> tuple[list[ShardRow], Counter[str]]:
    """Read the candidates of all shards, and what was dropped while making them."""
    candidates: list[ShardRow] = []
    dropped: Counter[str] = Counter()
    for number, path in enumerate(paths):
        for line, row in enumerate(jsonl.read(path)):
            if "dropped" in row:
                dropped.update(row["dropped"])
                continue
            provenance = row["metadata"]["provenance"]
            candidates.append(
                ShardRow(
                    number, line, row["metadata"]["id"], row["split"], tuple(provenance["templates"]),
                    provenance["shape"], _digest(row["language"], row["pre"], row["post"]),
                    _digest(row["language"], _SPACE.sub("", row["post"])),
                )
            )  # fmt: skip
    return candidates, dropped


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def choose(candidates: Sequence[ShardRow], max_share: float, per_edit: int, limit: int = 0) -> ChosenRows:
    """Deduplicate, keep splits apart, then cap every template.

    Args:
        candidates: of one kind (edits, or negatives).
        max_share: most that one template may have of all that is kept, in (0, 1]; 1: no bound.
        per_edit: how often one edit may occur, in other words each time.
        limit: keep at most so many, chosen by hash; 0: all.
    """
    choice = ChosenRows()
    in_train = {candidate.code for candidate in candidates if candidate.split == "train"}
    ids: set[str] = set()
    edits: Counter[bytes] = Counter()
    unique: list[ShardRow] = []
    for candidate in candidates:
        if candidate.id in ids:
            choice.dropped["duplicate"] += 1
        elif candidate.split != "train" and candidate.code in in_train:
            choice.dropped["code occurs in train"] += 1
        elif edits[candidate.edit] >= per_edit:
            choice.dropped["same edit in other words"] += 1
        else:
            ids.add(candidate.id)
            edits[candidate.edit] += 1
            unique.append(candidate)
    # The share must hold of what is left after the limit, too.
    of_limit = cap(max_share, limit) if limit and max_share < 1 and len(unique) > limit else 0
    # By hash, so that which of a template's records stay depends on nothing else.
    drawn = sorted(unique, key=lambda candidate: uniform(candidate.id))
    choice.cap, choice.cap_reason, fit = _bound(drawn, of_limit, max_share)
    capped = [candidate for candidate in unique if candidate.id in fit]
    choice.dropped["over the cap of its template"] = len(unique) - len(capped)
    if limit and len(capped) > limit:
        choice.dropped["over the limit asked for"] = len(capped) - limit
        capped = [candidate for candidate in drawn if candidate.id in fit][:limit]
    choice.dropped = +choice.dropped  # without those that are none
    choice.kept = {(c.shard, c.line) for c in capped}
    return choice


def cap(share: float, limit: int) -> int:
    """How many of `limit` records one template may have."""
    return max(1, int(share * limit))


def _bound(drawn: Sequence[ShardRow], of_limit: int, share: float) -> tuple[int, str, set[str]]:
    """The records that a template may have at most, why so many, and the ids that stay."""
    first, counts = _capped(drawn, of_limit)
    if share >= 1 or len(first) < MIN_FOR_SHARE:
        why = f"{share:.1%} of the limit" if of_limit else "none asked for, or too few records for a share"
        return of_limit, why, first
    if len(counts) * share < 1:
        why = (
            f"a share of {share:.1%} needs at least {math.ceil(1 / share)} templates, there are {len(counts)}"
        )
        return of_limit, why, first
    kept, bound = first, of_limit or len(first)
    while kept and (largest := max(counts.values())) > share * len(kept):
        bound = min(bound - 1, largest - 1, int(share * len(kept)))
        kept, counts = _capped(drawn, bound) if bound > 0 else (set(), Counter())
    if not kept:
        return of_limit, f"no bound keeps every template within {share:.1%}", first
    return bound, f"keeps every template within {share:.1%}", kept


def _capped(drawn: Sequence[ShardRow], cap: int) -> tuple[set[str], Counter[str]]:
    """Take the first `cap` records of every template; give their ids, and the counts."""
    used: Counter[str] = Counter()
    kept: set[str] = set()
    for candidate in drawn:
        if not cap or all(used[name] < cap for name in candidate.names):
            used.update(candidate.names)
            kept.add(candidate.id)
    return kept, used


def rows(paths: Sequence[Path], kept: set[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for number, path in enumerate(paths):
        for line, row in enumerate(jsonl.read(path)):
            if (number, line) in kept:
                yield row
