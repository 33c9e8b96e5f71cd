"""Tokens, n-grams and MinHash signatures of texts, computed with numpy.

Invariant: equal texts give equal numbers on every machine and version; there is no random
state but fixed seeds. A token is a word (`[A-Za-z0-9_]` or any non-ASCII byte) or one other
printable character; white space only separates.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rulewright.difftext import common_ends

U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]

N_PERMUTATIONS: Final = 252
BANDS: Final = 42
"""At 42 bands of 6, a pair of Jaccard similarity 0.7 is found with 99.5 %, one of 0.3 tried with 3 %."""
N_CHANGE_PERMUTATIONS: Final = 64
SHINGLE: Final = 5
"""Tokens in a shingle, as in StarCoder's near-deduplication."""

BASE: Final = np.uint64(0x9E3779B97F4A7C15 | 1)
_SIZE: Final = 1 << 16
_BLOCK: Final = 32_768
"""Numbers worked on at a time: 128 kB."""


def _powers(base: np.uint64, n: int) -> U64:
    values = np.full(n, base, dtype=np.uint64)
    values[0] = 1
    return np.cumprod(values, dtype=np.uint64)


_INVERSE: Final = np.uint64(pow(int(BASE), -1, 2**64))


@functools.lru_cache(maxsize=2)
def _tables(n: int) -> tuple[U64, U64]:
    return _powers(BASE, n), _powers(_INVERSE, n)


def _kind(byte: int) -> int:
    """0 white space and controls, 1 word, 2 other."""
    if byte < 33 or byte == 127:
        return 0
    return 1 if byte >= 128 or chr(byte).isalnum() or byte == ord("_") else 2


_KINDS: Final = bytes(map(_kind, range(256)))


def mixed(values: U64) -> U64:
    """Spread the bits of numbers (the finalizer of MurmurHash3)."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def tokens(text: str) -> U64:
    """Hash every token of a text, in order: `[n_tokens]`."""
    return _tokens([text])[0]


def _tokens(texts: Sequence[str]) -> list[U64]:
    """The tokens of several texts, hashed in one go."""
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    coded = b"\n".join(parts)
    # A space follows the last byte and, as index -1 finds it, comes before the first.
    kinds = np.frombuffer(coded.translate(_KINDS) + b"\0", dtype=np.uint8)
    word, other = kinds == 1, kinds == 2
    starts = other.copy()
    starts[1:] |= word[1:] > word[:-1]
    starts[0] |= word[0]
    ends = other
    ends[:-1] |= word[:-1] > word[1:]
    first, last = np.flatnonzero(starts), np.flatnonzero(ends)
    # A polynomial over each token's bytes, from one running sum over the text.
    powers, inverses = _tables(max(_SIZE, 1 << len(coded).bit_length()))
    terms = np.zeros(len(coded) + 1, dtype=np.uint64)
    terms[1:] = np.frombuffer(coded, dtype=np.uint8)
    terms[1:] += np.uint64(1)
    terms[1:] *= powers[: len(coded)]
    sums = np.cumsum(terms, out=terms)
    last += 1
    values = sums[last]
    values -= sums[first]
    values *= inverses[first]
    last -= first
    values += (last - 1).astype(np.uint64)
    if len(parts) == 1:
        return [mixed(values)]
    bounds = [0, *np.searchsorted(first, [*accumulate(len(part) + 1 for part in parts)]).tolist()]
    values = mixed(values)
    return [values[start:end] for start, end in pairwise(bounds)]


def ngrams(hashes: U64, n: int) -> U64:
    """Hash every run of `n` tokens: `[n_tokens - n + 1]`, or empty."""
    if hashes.size < n:
        return np.empty(0, dtype=np.uint64)
    # Polynomials over runs of 1, then of twice as many or one more, until it is n.
    total, size = hashes, 1
    for bit in f"{n:b}"[1:]:
        total = total[:-size] * np.uint64(pow(int(BASE), size, 2**64)) + total[size:]
        size *= 2
        if bit == "1":
            total = total[:-1] * BASE + hashes[size:]
            size += 1
    return mixed(total)


def unique(values: U64) -> U64:
    """The distinct values, sorted: what `np.unique` gives, in a third of its time."""
    if values.size < 2:
        return values
    ordered = np.sort(values)
    first = np.empty(ordered.size, dtype=np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


@functools.lru_cache(maxsize=4)
def _permutations(n: int) -> tuple[U32, U32]:
    """datasketch's permutations of its scheme `affine32` for seed 1, as columns `[n, 1]`."""
    draw = np.random.RandomState(1)  # its stream never changes, unlike that of a Generator
    factors = draw.randint(0, 1 << 31, n, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    offsets = draw.randint(0, 1 << 32, n, dtype=np.uint32)
    return factors.reshape(-1, 1), offsets.reshape(-1, 1)


def signature(values: U64, n_permutations: int = N_PERMUTATIONS) -> U32:
    """The MinHash signature of a set of hashes: `[n_permutations]`.

    What datasketch's `MinHash(scheme="affine32")` gives for the upper halves of the hashes,
    in a fraction of its time: permutations run along the rows here, and a few at a time, so
    that the table stays in the cache. The empty set has the signature of all ones.
    """
    found = np.full(n_permutations, 0xFFFFFFFF, dtype=np.uint32)
    if not values.size:
        return found
    # The 32-bit finalizer of MurmurHash3, as in datasketch.
    spread = (values >> np.uint64(32)).astype(np.uint32)
    spread = (spread ^ (spread >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    spread = (spread ^ (spread >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    spread ^= spread >> np.uint32(16)
    factors, offsets = _permutations(n_permutations)
    rows = max(1, min(n_permutations, _BLOCK // spread.size))
    block = np.empty((rows, spread.size), dtype=np.uint32)
    for i in range(0, n_permutations, rows):
        part = block[: min(rows, n_permutations - i)]
        np.multiply(factors[i : i + rows], spread, out=part)
        part += offsets[i : i + rows]
        part.min(axis=1, out=found[i : i + rows])
    return found


class EditTokens:
    """An edit's lines and tokens, each text read once.

    The sides share their first and last lines, and no token spans lines, so what lies
    between is all that has to be looked at twice.
    """

    def __init__(self, pre: str, post: str) -> None:
        old, new = self._lines = pre.split("\n"), post.split("\n")
        start, end = common_ends(old, new)
        old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
        texts = (
            old[:start], old_middle, old[len(old) - end :], new_middle,
            _only(old_middle, new), _only(new_middle, old),
        )  # fmt: skip
        found = _tokens(["\n".join(lines) for lines in texts])
        self._head, self._old, self._tail, self._new, self._removed, self._added = found

    def sides(self) -> tuple[U64, U64]:
        """The tokens of the old and of the new side."""
        old, new = (np.concatenate((self._head, part, self._tail)) for part in (self._old, self._new))
        return old, new

    def code_signature(self) -> tuple[U32, int]:
        """Signature of the code, both sides, and the number of its shingles."""
        near = SHINGLE - 1
        old = (self._head, self._old, self._tail)
        # Of the new side only what is not in shared lines alone.
        around = (self._head[-near:], self._new, self._tail[:near])
        shingles = unique(np.concatenate(_apart(old, around, SHINGLE)))
        return signature(shingles), int(shingles.size)

    def change_signature(self) -> U32:
        """Signature of what the edit changes: the lines it removes and adds, apart."""
        parts = []
        for k in (1, 3):
            removed, added = _apart((self._removed,), (self._added,), k)
            parts += [removed ^ np.uint64(1), added ^ np.uint64(2)]
        return signature(unique(mixed(np.concatenate(parts))), N_CHANGE_PERMUTATIONS)

    def exact_key(self) -> tuple[int, int]:
        """128 bits for the code, white space at line ends aside."""
        digest = hashlib.sha256()
        for lines in self._lines:
            raw = "\n".join(map(str.rstrip, lines)).rstrip().encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        found = digest.digest()
        return int.from_bytes(found[:8], "big"), int.from_bytes(found[8:16], "big")


def _apart(a: tuple[U64, ...], b: tuple[U64, ...], n: int) -> tuple[U64, U64]:
    """The n-grams of two texts, hashed in one go."""
    joined = np.concatenate((*a, *b))
    size = sum(part.size for part in a)
    runs = ngrams(joined, n)
    return runs[: max(0, size - n + 1)], runs[size:]


def _only(lines: list[str], others: list[str]) -> list[str]:
    gone = set(lines).difference(others)
    return [line for line in lines if line in gone] if gone else []


def bands(signatures: U32) -> U64:
    """Hash each band of each signature: `[n, N_PERMUTATIONS]` to `[BANDS, n]`."""
    n = signatures.shape[0]
    rows = signatures.reshape(n, BANDS, -1).astype(np.uint64)
    total = np.zeros((n, BANDS), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(rows.shape[2]):
            total = total * BASE + rows[:, :, i]
        return np.ascontiguousarray(mixed(total).T)
