"""Choose which edits to keep among exact duplicates, near duplicates and shared commits.

Invariant: of the kept edits, no two have the same code; no two of different groups have a code similarity
of at least the threshold (as far as MinHash with 42 bands finds it: 99.5 % at 0.7); no two of the same
commit are in different splits. The choice depends only on the edits and their order. Working memory is
about 30 bytes per edit plus some 100 MB: buckets are processed in parts, and larger data are kept in
files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from rulewright.data.keys import mapped
from rulewright.data.signatures import BANDS, U32, U64, bands, unique

I32 = NDArray[np.int32]

# In a bucket of very many edits each is compared with so many of the best.
_MAX_BUCKET: Final = 64
PART: Final = 1 << 19
"""Edits whose buckets are in memory at a time."""
BLOCK: Final = 4096
"""Edits or pairs whose signatures are."""
_SPILL: Final = 1 << 21
"""Suspected pairs in memory before they go to files."""
_RANGE: Final = 1 << 18
"""Edits whose pairs lie in one file."""
REASONS: Final = ("", "exact_duplicate", "same_commit", "near_duplicate", "commit_in_other_split")
_EXACT, _COMMIT, _NEAR, _APART = range(1, 5)


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
    """`[n]`: its commits are what it was synthesized from, so sharing one makes no copy."""
    preference: NDArray[np.uint32]
    """`[n]`: of two copies the lower is kept; then the earlier."""

    def __len__(self) -> int:
        return int(self.group.shape[0])


@dataclass(frozen=True)
class Decision:
    """Per edit: 0 if kept, else the number of its reason in `REASONS`, and because of which edit."""

    reason: NDArray[np.uint8]
    because: I32
    """-1 if kept."""


def choose(keys: Keys, threshold: float | NDArray[np.float64], folder: Path | None = None) -> Decision:
    """Decide which edits to keep.

    Args:
        keys: of all edits, fewer than 2^31.
        threshold: Jaccard similarity of 5-token shingles from which two edits are near copies;
            in one group what they change must be as similar, too. Above 1: exact copies only.
            One for each source: that of the later source counts.
        folder: for unnamed working files; default: the system's.
    """
    n = len(keys)
    order = np.argsort(keys.preference, kind="stable").astype(np.int32)
    rank = np.empty(n, dtype=np.int32)
    rank[order] = np.arange(n, dtype=np.int32)
    pairs = _Pairs(folder)
    n_sources = int(keys.source.max(initial=0)) + 1
    thresholds = np.full(n_sources, threshold) if isinstance(threshold, float) else threshold
    for a, b, kind in _all_pairs(keys, rank, thresholds, folder):
        pairs.add(rank[a], rank[b], kind)
    reason = bytearray(n)
    because = np.full(n, -1, dtype=np.int32)
    # An edit's better copies come in order of kind and preference, after all of theirs.
    for block in pairs.in_order():
        worse = order[(block >> np.uint64(33)).astype(np.int64)].tolist()
        better = order[(block & np.uint64((1 << 31) - 1)).astype(np.int64)].tolist()
        kinds = (((block >> np.uint64(31)) & np.uint64(3)) + np.uint64(1)).tolist()
        for a, b, kind in zip(worse, better, kinds, strict=True):
            if not reason[a] and not reason[b]:
                reason[a], because[a] = kind, b
    return Decision(np.frombuffer(reason, dtype=np.uint8), because)


class _Pairs:
    """Suspected pairs as numbers that sort by rank of the worse, kind, rank of the better.

    Repeats are removed; many go to unnamed files, by ranges of the worse edit's rank.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: list[U64] = []
        self._n_held = 0
        self._files: dict[int, IO[bytes]] = {}

    def add(self, worse: I32, better: I32, kind: int) -> None:
        code = worse.astype(np.uint64) << np.uint64(33)
        code |= np.uint64((kind - 1) << 31)
        code |= better.astype(np.uint64)
        self._held.append(code)
        self._n_held += code.size
        if self._n_held > _SPILL:
            self._held = [unique(np.concatenate(self._held))]
            self._n_held = self._held[0].size
            if self._n_held > _SPILL // 2:
                self._spill()

    def _spill(self) -> None:
        codes = unique(np.concatenate([_NOTHING, *self._held]))
        numbers = (codes >> np.uint64(33)) // np.uint64(_RANGE)
        for number in np.unique(numbers).tolist():
            if number not in self._files:
                self._files[number] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  (`in_order`)
            self._files[number].write(codes[numbers == number].tobytes())
        self._held, self._n_held = [], 0

    def in_order(self) -> Iterator[U64]:
        """All pairs once, in order, in blocks; only once."""
        if not self._files:
            yield from _blocks(unique(np.concatenate([_NOTHING, *self._held])))
            return
        self._spill()
        for number in sorted(self._files):
            with self._files.pop(number) as stream:
                stream.seek(0)
                codes = np.fromfile(stream, dtype=np.uint64)
            yield from _blocks(unique(codes))


_NOTHING: Final = np.empty(0, dtype=np.uint64)


def _blocks(codes: U64) -> Iterator[U64]:
    for start in range(0, codes.size, BLOCK):
        yield codes[start : start + BLOCK]


def _all_pairs(
    keys: Keys, rank: I32, thresholds: NDArray[np.float64], folder: Path | None
) -> Iterator[tuple[I32, I32, int]]:
    """Suspected copies: worse edits, better ones, and the kind."""
    for a, b in _pairs(keys.exact[:, 0], rank):
        same = (keys.exact[a] == keys.exact[b]).all(axis=1)
        yield a[same], b[same], _EXACT
    for a, b in _pairs(keys.commits, rank, lambda i: np.searchsorted(keys.commit_ends, i, "right")):
        strange = (keys.source[a] != keys.source[b]) & ~(keys.seeded[a] | keys.seeded[b])
        yield a[strange], b[strange], _COMMIT
        apart = keys.split[a] != keys.split[b]
        yield a[apart], b[apart], _APART
    n = len(keys)
    if not n or thresholds.min() > 1:
        return
    with tempfile.TemporaryFile(dir=folder) as stream:
        # One array of bucket numbers per band, on disk.
        table = mapped(stream, np.uint64, (BANDS, n))
        for start in range(0, n, BLOCK):
            table[:, start : start + BLOCK] = bands(np.asarray(keys.code[start : start + BLOCK]))
        for column in table:
            for a, b in _pairs(column, rank):
                for start in range(0, a.size, BLOCK):
                    some, others = a[start : start + BLOCK], b[start : start + BLOCK]
                    near = _are_near(keys, some, others, thresholds)
                    yield some[near], others[near], _NEAR


def _are_near(keys: Keys, a: I32, b: I32, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pairs have signatures that agree enough, and are not exact copies anyway."""
    threshold = thresholds[np.maximum(keys.source[a], keys.source[b])]
    agree: NDArray[np.bool_] = (keys.code[a] == keys.code[b]).mean(axis=1) >= threshold
    agree &= keys.n_shingles[a] > 0  # where signatures agree, the other edit has some, too
    agree &= (keys.exact[a] != keys.exact[b]).any(axis=1)
    same_group = keys.group[a] == keys.group[b]
    if same_group.any():
        agree &= ~same_group | ((keys.change[a] == keys.change[b]).mean(axis=1) >= threshold)
    return agree


def _pairs(
    values: U64, rank: I32, owner: Callable[[NDArray[np.int64]], Any] = lambda places: places
) -> Iterator[tuple[I32, I32]]:
    """Pair the owners of equal values, the worse first.

    Args:
        values: hashes, so that their upper bits cut them into parts of about equal size.
        rank: of all edits by preference.
        owner: place of a value to its edit.
    """
    n_parts = -(-values.size // PART)
    for part in range(n_parts):
        places = np.arange(values.size) if n_parts == 1 else _places(values, part, n_parts)
        yield from _pairs_of(np.asarray(values[places]), owner(places).astype(np.int32), rank)


def _places(values: U64, part: int, n_parts: int) -> NDArray[np.int64]:
    """Where the values of one part of the range of hashes are."""
    low = np.uint64(part * 2**64 // n_parts)
    high = np.uint64((part + 1) * 2**64 // n_parts - 1)
    found = []
    for start in range(0, values.size, PART):
        block = values[start : start + PART]
        found.append(np.flatnonzero((block >= low) & (block <= high)) + start)
    return np.concatenate(found)


def _pairs_of(values: U64, owners: I32, rank: I32) -> Iterator[tuple[I32, I32]]:
    order = np.lexsort((rank[owners], values))
    values, owners = values[order], owners[order]
    # Runs of equal values: pair each member with the run's _MAX_BUCKET best before it.
    is_first = np.concatenate(([True], values[1:] != values[:-1]))
    first = np.maximum.accumulate(np.where(is_first, np.arange(values.size), 0))
    later = np.flatnonzero(~is_first)
    for distance in range(_MAX_BUCKET):
        later = later[later - first[later] > distance]
        if not later.size:
            return
        a, b = owners[later], owners[first[later] + distance]
        yield a[a != b], b[a != b]
