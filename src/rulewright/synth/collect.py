"""Shards of candidates → the data set: deduplicated, capped by template, in a fixed order.

Invariant: the outcome depends only on the shards' contents. No text stands both in
`train` and in `dev` or `test`; no template has more than its share.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl
from rulewright.data.splits import uniform

_SPACE: Final = re.compile(r"\s+")
MIN_FOR_SHARE: Final = 1_000
"""Below so many records a share says nothing."""


@dataclass(frozen=True)
class Candidate:
    """What the choice needs to know of a record; its text stays on disk."""

    shard: int
    line: int
    id: str
    split: str
    template: str
    shape: str
    edit: bytes
    """Digest of language, pre and post: the same edit asked for in other words."""
    code: bytes
    """Digest of the real code, without white space."""


@dataclass
class Choice:
    """Which records stay, and why the others do not."""

    kept: set[tuple[int, int]] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)
    cap: int = 0
    """Records that a template may have at most; 0: no cap."""
    cap_reason: str = ""


def scan(paths: Sequence[Path]) -> tuple[list[Candidate], Counter[str]]:
    """Read the candidates of all shards, and what was dropped while making them."""
    candidates: list[Candidate] = []
    dropped: Counter[str] = Counter()
    for number, path in enumerate(paths):
        for line, row in enumerate(jsonl.read(path)):
            if "dropped" in row:
                dropped.update(row["dropped"])
                continue
            provenance = row["metadata"]["provenance"]
            candidates.append(
                Candidate(
                    number, line, row["metadata"]["id"], row["split"], "+".join(provenance["templates"]),
                    provenance["shape"], _digest(row["language"], row["pre"], row["post"]),
                    _digest(row["language"], _SPACE.sub("", row["post"])),
                )
            )  # fmt: skip
    return candidates, dropped


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def choose(
    candidates: Sequence[Candidate],
    per_template_cap: int,
    max_share: float,
    per_edit: int,
    limit: int = 0,
) -> Choice:
    """Deduplicate, keep splits apart, then cap every template.

    Args:
        candidates: of one kind (edits, or negatives).
        per_template_cap: absolute bound a template; 0: none.
        max_share: bound as a share of all that is kept, in (0, 1]; 1: none.
        per_edit: how often one edit may occur, in other words each time.
        limit: keep at most so many, chosen by hash; 0: all.
    """
    choice = Choice()
    in_train = {candidate.code for candidate in candidates if candidate.split == "train"}
    ids: set[str] = set()
    edits: Counter[bytes] = Counter()
    unique: list[Candidate] = []
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
    counts = Counter(name for candidate in unique for name in candidate.template.split("+"))
    choice.cap, choice.cap_reason = _cap(counts, len(unique), per_template_cap, max_share)
    capped = list(_capped(unique, choice.cap))
    _count(choice, "over the cap of its template", len(unique) - len(capped))
    if limit and len(capped) > limit:
        _count(choice, "over the limit asked for", len(capped) - limit)
        capped = sorted(capped, key=lambda c: uniform(c.id))[:limit]
    choice.kept = {(c.shard, c.line) for c in capped}
    return choice


def _count(choice: Choice, reason: str, n: int) -> None:
    if n:
        choice.dropped[reason] += n


def _cap(counts: Counter[str], total: int, absolute: int, share: float) -> tuple[int, str]:
    """The largest bound under which no template exceeds its share of what is left."""
    largest = max(counts.values(), default=0)
    bound = min(absolute, largest) if absolute else largest
    if share >= 1 or total < MIN_FOR_SHARE:
        return (bound, "as given") if absolute else (0, "no cap asked for, or too few records for a share")
    if len(counts) * share < 1:
        needed = -(-1 // share)
        return (
            absolute,
            f"a share of {share:.1%} needs at least {needed:.0f} templates, there are {len(counts)}",
        )
    low, high = 1, bound
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= share * sum(min(n, middle) for n in counts.values()):
            low = middle
        else:
            high = middle - 1
    return low, f"largest bound that keeps every template within {share:.1%}"


def _capped(candidates: Iterable[Candidate], cap: int) -> Iterator[Candidate]:
    """Keep at most `cap` records a template, chosen by the hash of their ids, in the order given."""
    listed = list(candidates)
    if not cap:
        yield from listed
        return
    used: Counter[str] = Counter()
    kept: set[str] = set()
    for candidate in sorted(listed, key=lambda c: uniform(c.id)):
        names = candidate.template.split("+")
        if all(used[name] < cap for name in names):
            used.update(names)
            kept.add(candidate.id)
    yield from (candidate for candidate in listed if candidate.id in kept)


def rows(paths: Sequence[Path], kept: set[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Yield the rows that stay, in shard order."""
    for number, path in enumerate(paths):
        for line, row in enumerate(jsonl.read(path)):
            if (number, line) in kept:
                yield row
