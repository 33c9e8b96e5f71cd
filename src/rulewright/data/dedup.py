"""Which of many edits to keep: exact copies, near copies, shared commits.

Invariant: of the kept edits, no two have the same code; no two of different groups have a
code similarity of at least the threshold (as far as MinHash with 42 bands finds it: 99.5 %
at 0.7); no two of the same commit are in different splits. The choice depends only on the
edits and their order. Working memory is about 400 bytes an edit, on disk-backed arrays
where the caller passes such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rulewright.data.signatures import BANDS, U32, U64, bands

# In a bucket of very many edits each is compared with so many of the best.
_MAX_BUCKET: Final = 64
_KEPT: Final = 0
REASONS: Final = ("", "exact_duplicate", "same_commit", "near_duplicate", "commit_in_other_split")


@dataclass(frozen=True)
class Keys:
    """What deduplication needs to know of `n` edits, column by column."""

    exact: U64
    """`[n, 2]`"""
    code: U32
    """`[n, N_PERMUTATIONS]`"""
    change: U32
    """`[n, N_CHANGE_PERMUTATIONS]`"""
    n_shingles: NDArray[np.uint32]
    """`[n]`; an edit with none has no near copies."""
    group: U64
    """`[n]`"""
    commits: U64
    """All commits of all edits, one after another."""
    commit_ends: NDArray[np.int64]
    """`[n]`: where each edit's commits end in `commits`."""
    split: NDArray[np.uint8]
    """`[n]`: index in `SPLITS`."""
    source: NDArray[np.uint32]
    """`[n]`: number of the edit's source; edits of one source may share a commit."""
    seeded: NDArray[np.bool_]
    """`[n]`: its commits are what it was synthesised from, so sharing one makes no copy."""
    preference: NDArray[np.uint32]
    """`[n]`: of two copies the lower is kept; then the earlier."""

    def __len__(self) -> int:
        return int(self.group.shape[0])

    def commits_of(self, i: int) -> U64:
        start = int(self.commit_ends[i - 1]) if i else 0
        return self.commits[start : int(self.commit_ends[i])]


@dataclass(frozen=True)
class Decision:
    """Per edit: 0 if kept, else the number of its reason in `REASONS`, and because of which edit."""

    reason: NDArray[np.uint8]
    because: NDArray[np.int64]


def choose(keys: Keys, threshold: float, settled: int = 0) -> Decision:
    """Decide which edits to keep.

    Args:
        keys: of all edits.
        threshold: Jaccard similarity of 5-token shingles from which two edits are near copies;
            in one group what they change must be as similar, too. Above 1: exact copies only.
        settled: the first so many edits are known to have no copies among themselves.
    """
    n = len(keys)
    reason = np.zeros(n, dtype=np.uint8)
    because = np.full(n, -1, dtype=np.int64)
    order = np.lexsort((np.arange(n), keys.preference))
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    pairs = np.concatenate([_none(), *_all_pairs(keys, place, threshold, settled)])
    # For each edit its candidates of higher preference, in order of preference of the edit.
    pairs = pairs[np.lexsort((place[pairs[:, 1]], pairs[:, 2], place[pairs[:, 0]]))]
    for worse, better, kind in pairs.tolist():
        if (
            reason[worse] == _KEPT
            and reason[better] == _KEPT
            and _is_copy(keys, worse, better, kind, threshold)
        ):
            reason[worse], because[worse] = kind, better
    return Decision(reason, because)


def _none() -> NDArray[np.int64]:
    return np.empty((0, 3), dtype=np.int64)


def _all_pairs(
    keys: Keys, place: NDArray[np.int64], threshold: float, settled: int
) -> Iterator[NDArray[np.int64]]:
    """Rows (worse, better, kind of the suspected copy), without repeats within a kind."""
    folded = keys.exact[:, 0] ^ (keys.exact[:, 1] << np.uint64(1))
    everyone = np.arange(len(keys), dtype=np.int64)
    yield _pairs(folded, everyone, place, 1, settled)
    starts = np.concatenate(([0], keys.commit_ends[:-1]))
    owners = np.repeat(everyone, keys.commit_ends - starts)
    shared = _pairs(keys.commits, owners, place, 2, settled=0)
    yield shared[
        (keys.source[shared[:, 0]] != keys.source[shared[:, 1]]) & ~keys.seeded[shared[:, :2]].any(axis=1)
    ]
    apart = shared[keys.split[shared[:, 0]] != keys.split[shared[:, 1]]].copy()
    apart[:, 2] = 4
    yield apart
    if threshold <= 1 and len(keys):
        near = [_near(keys, column, place, threshold, settled) for column in _band_columns(keys)]
        yield np.unique(np.concatenate(near), axis=0)


def _band_columns(keys: Keys) -> Iterator[U64]:
    """One array of bucket numbers per band; edits are hashed in blocks."""
    n = len(keys)
    table = np.empty((BANDS, n), dtype=np.uint64)
    for start in range(0, n, 4096):
        table[:, start : start + 4096] = bands(np.asarray(keys.code[start : start + 4096]))
    yield from table


def _near(
    keys: Keys, column: U64, place: NDArray[np.int64], threshold: float, settled: int
) -> NDArray[np.int64]:
    """Pairs of one band whose signatures agree enough."""
    members = np.flatnonzero(keys.n_shingles > 0)
    found = _pairs(column[members], members, place, 3, settled)
    keep = np.zeros(len(found), dtype=bool)
    for start in range(0, len(found), 4096):
        block = found[start : start + 4096]
        agree = (keys.code[block[:, 0]] == keys.code[block[:, 1]]).mean(axis=1) >= threshold
        same_group = keys.group[block[:, 0]] == keys.group[block[:, 1]]
        alike = (keys.change[block[:, 0]] == keys.change[block[:, 1]]).mean(axis=1) >= threshold
        keep[start : start + 4096] = agree & (~same_group | alike)
    return found[keep]


def _pairs(
    values: NDArray[Any], owners: NDArray[np.int64], place: NDArray[np.int64], kind: int, settled: int
) -> NDArray[np.int64]:
    """Pair the owners of equal values: (worse, better, kind)."""
    if values.size < 2:
        return _none()
    order = np.lexsort((place[owners], values))
    ordered, who = values[order], owners[order]
    # Runs of equal values: pair each member with those up to _MAX_BUCKET places before it in
    # its run; beyond that, with the run's best ones only.
    run_start = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    first = np.maximum.accumulate(np.where(run_start, np.arange(ordered.size), 0))
    position = np.arange(ordered.size) - first
    blocks = []
    for distance in range(1, min(int(position.max()), _MAX_BUCKET) + 1):
        later = np.flatnonzero(position >= distance)
        blocks.append(np.stack((who[later], who[first[later] + distance - 1]), axis=1))
    if not blocks:
        return _none()
    found = np.concatenate(blocks)
    found = found[found[:, 0] != found[:, 1]]
    found = found[(found[:, 0] >= settled) | (found[:, 1] >= settled)]
    return np.concatenate((found, np.full((len(found), 1), kind, dtype=np.int64)), axis=1)


def _is_copy(keys: Keys, worse: int, better: int, kind: int, threshold: float) -> bool:
    """Settle what hashes of half the bits only suggest; near pairs are settled already."""
    return kind != 1 or bool((keys.exact[worse] == keys.exact[better]).all())
