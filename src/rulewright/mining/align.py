"""Where an edit changed a text: alignment of two trees, hunks, and a position map.

Invariant: replacing every hunk of `pre` by its text of `post` gives `post`; between
hunks the texts are equal. Which parts are "the same" is a choice, so there are
several `Edit` variants of one pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rapidfuzz.distance import LCSseq

from rulewright.mining.tree import Node, Tree

MIN_DICE: Final = 0.34
TOKEN_READING_COST: Final = 0.6
MAX_BLOCK: Final = 40
"""Larger unequal blocks of children are aligned by order, not by likeness."""


class Segment(NamedTuple):
    """Equal text at two places: `[a, a + size)` of pre, `[b, b + size)` of post."""

    a: int
    b: int
    size: int


class Hunk(NamedTuple):
    """`pre[a0:a1]` became `post[b0:b1]`."""

    a0: int
    a1: int
    b0: int
    b1: int


class Mapped(NamedTuple):
    """A range of post that a range of pre became, and the hunks inside."""

    start: int
    end: int
    hunks: frozenset[int]


@dataclass(frozen=True)
class Edit:
    """One reading of an edit: two trees and the hunks between them."""

    pre: Tree
    post: Tree
    hunks: tuple[Hunk, ...]
    cost: float = 0.0
    """How much less natural this reading is than the first."""
    strict: bool = True
    """Whether what the edit left alone was meant to stay: a rule must not change it."""
    _brought: dict[int, list[Node]] = field(default_factory=dict, compare=False, repr=False)

    def map_range(self, start: int, end: int) -> list[Mapped]:
        """The ranges of post that `[start, end)` of pre may have become.

        An insertion at an edge counts in or out, so there are up to four; none where
        a hunk straddles an edge. What holds most hunks comes first.
        """
        inside: list[int] = []
        lead: int | None = None
        tail: int | None = None
        for i, hunk in enumerate(self.hunks):
            if hunk.a1 < start or hunk.a0 > end:
                continue
            if hunk.a0 == hunk.a1 == start:
                lead = i
            elif hunk.a0 == hunk.a1 == end:
                tail = i
            elif hunk.a1 <= start or hunk.a0 >= end:
                continue
            elif hunk.a0 < start or hunk.a1 > end:
                return []
            else:
                inside.append(i)
        starts = [(self._after(start), frozenset[int]())]
        if lead is not None:
            hunk = self.hunks[lead]
            starts = [(hunk.b0, frozenset((lead,))), (hunk.b1, frozenset())]
        ends = [(self._before(end), frozenset[int]())]
        if tail is not None:
            hunk = self.hunks[tail]
            ends = [(hunk.b1, frozenset((tail,))), (hunk.b0, frozenset())]
        core = frozenset(inside)
        return [Mapped(b0, b1, core | h0 | h1) for b0, h0 in starts for b1, h1 in ends if b0 <= b1]

    def brought(self, number: int) -> list[Node]:
        """The nodes of post that lie within what a hunk brought in, outer before inner."""
        known = self._brought.get(number)
        if known is None:
            hunk = self.hunks[number]
            known = self.post.within(hunk.b0, hunk.b1) if hunk.b1 > hunk.b0 else []
            self._brought[number] = known
        return known

    def touches(self, start: int, end: int) -> bool:
        """Whether a hunk changes something strictly inside a range of pre."""
        for hunk in self.hunks:
            if hunk.a0 >= end:
                return False
            if hunk.a1 > start and (hunk.a0 > start or hunk.a1 > hunk.a0):
                return True
        return False

    def _after(self, position: int) -> int:
        """Where a position between hunks lies in post, after a hunk that ends there."""
        shift = 0
        for hunk in self.hunks:
            if hunk.a1 > position:
                break
            shift = hunk.b1 - hunk.a1
        return position + shift

    def _before(self, position: int) -> int:
        shift = 0
        for hunk in self.hunks:
            if hunk.a1 > position or (hunk.a0 >= position):
                break
            shift = hunk.b1 - hunk.a1
        return position + shift


def variants(pre: Tree, post: Tree, strict: bool = True) -> Iterator[Edit]:
    """Up to four readings of an edit: by tree, then by token, blanks trimmed left or right first."""
    seen: set[tuple[Hunk, ...]] = set()
    for reading, cost in ((_tree_segments, 0.0), (_token_segments, TOKEN_READING_COST)):
        segments = list(reading(pre, post))
        for left_first in (True, False):
            hunks = _hunks(pre.text, post.text, segments, left_first)
            if hunks not in seen:
                seen.add(hunks)
                yield Edit(pre, post, hunks, cost, strict)


def _hunks(pre: str, post: str, segments: Sequence[Segment], left_first: bool) -> tuple[Hunk, ...]:
    hunks: list[Hunk] = []
    a = b = 0
    for segment in [*segments, Segment(len(pre), len(post), 0)]:
        if pre[a : segment.a] != post[b : segment.b]:
            hunk = _trim(pre, post, Hunk(a, segment.a, b, segment.b), left_first)
            if hunks and hunks[-1].a1 == hunk.a0 and hunks[-1].b1 == hunk.b0:
                hunk = Hunk(hunks[-1].a0, hunk.a1, hunks.pop().b0, hunk.b1)
            hunks.append(hunk)
        a, b = segment.a + segment.size, segment.b + segment.size
    return tuple(hunks)


def _trim(pre: str, post: str, hunk: Hunk, left_first: bool) -> Hunk:
    """Take common blanks off both ends of a hunk."""
    a0, a1, b0, b1 = hunk
    for side in ("left", "right") if left_first else ("right", "left"):
        if side == "left":
            while a0 < a1 and b0 < b1 and pre[a0] == post[b0] and pre[a0].isspace():
                a0, b0 = a0 + 1, b0 + 1
        else:
            while a0 < a1 and b0 < b1 and pre[a1 - 1] == post[b1 - 1] and pre[a1 - 1].isspace():
                a1, b1 = a1 - 1, b1 - 1
    return Hunk(a0, a1, b0, b1)


def _tree_segments(pre: Tree, post: Tree) -> Iterator[Segment]:
    yield from _pair(pre, post, pre.root, post.root)


def _pair(pre: Tree, post: Tree, a: Node, b: Node) -> Iterator[Segment]:
    if a.size == b.size and pre.text_of(a) == post.text_of(b):
        yield Segment(a.start, b.start, a.size)
        return
    if a.kind != b.kind or not a.children or not b.children:
        return
    keys_a = [(c.kind, pre.text_of(c)) for c in a.children]
    keys_b = [(c.kind, post.text_of(c)) for c in b.children]
    i = j = 0
    for equal, i1, i2, j1, j2 in blocks(keys_a, keys_b):
        if equal:
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                left, right = a.children[i], b.children[j]
                if left.size:
                    yield Segment(left.start, right.start, left.size)
        else:
            for i, j in _alike(pre, post, a.children[i1:i2], b.children[j1:j2]):
                yield from _pair(pre, post, a.children[i1 + i], b.children[j1 + j])


def blocks(a: Sequence[object], b: Sequence[object]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Equal and unequal blocks of two sequences, by longest common subsequence."""
    lead = 0
    while lead < min(len(a), len(b)) and a[lead] == b[lead]:
        lead += 1
    tail = 0
    while tail < min(len(a), len(b)) - lead and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
        tail += 1
    if lead:
        yield True, 0, lead, 0, lead
    numbers: dict[object, int] = {}
    mid_a = [numbers.setdefault(x, len(numbers)) for x in a[lead : len(a) - tail]]
    mid_b = [numbers.setdefault(x, len(numbers)) for x in b[lead : len(b) - tail]]
    if mid_a or mid_b:
        ops = LCSseq.opcodes(mid_a, mid_b)
        i1 = j1 = 0
        for op in ops:
            if op.tag == "equal":
                if op.src_start > i1 or op.dest_start > j1:
                    yield False, lead + i1, lead + op.src_start, lead + j1, lead + op.dest_start
                yield True, lead + op.src_start, lead + op.src_end, lead + op.dest_start, lead + op.dest_end
                i1, j1 = op.src_end, op.dest_end
        if len(mid_a) > i1 or len(mid_b) > j1:
            yield False, lead + i1, lead + len(mid_a), lead + j1, lead + len(mid_b)
    if tail:
        yield True, len(a) - tail, len(a), len(b) - tail, len(b)


def _alike(pre: Tree, post: Tree, a: Sequence[Node], b: Sequence[Node]) -> list[tuple[int, int]]:
    """Pairs of same-kind children, in order, that maximise likeness (Dice of token bags)."""
    if len(a) > MAX_BLOCK or len(b) > MAX_BLOCK:
        return [(i, i) for i in range(min(len(a), len(b))) if a[i].kind == b[i].kind]
    counts_a = [node.kind for node in a]
    counts_b = [node.kind for node in b]
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    like = [[0.0] * len(b) for _ in a]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            if left.kind == right.kind and left.named == right.named:
                only = counts_a.count(left.kind) == 1 == counts_b.count(right.kind)
                dice = _dice(pre, post, left, right)
                like[i][j] = dice if dice >= MIN_DICE else (0.05 if only and left.named else 0.0)
            best[i + 1][j + 1] = max(best[i][j + 1], best[i + 1][j], best[i][j] + like[i][j])
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _dice(pre: Tree, post: Tree, a: Node, b: Node) -> float:
    bag_a, bag_b = pre.bag(a), post.bag(b)
    total = bag_a.total() + bag_b.total()
    return 2 * (bag_a & bag_b).total() / total if total else 0.0


def _token_segments(pre: Tree, post: Tree) -> Iterator[Segment]:
    """Align the leaves of the differing lines by longest common subsequence."""
    lead, tail = _common_ends(pre.text, post.text)
    leaves_a, leaves_b = list(pre.root.leaves()), list(post.root.leaves())
    n_both = min(len(leaves_a), len(leaves_b))
    # Equal text need not have equal leaves (a parse error far away can change them): compare both.
    first = 0
    while first < n_both and leaves_a[first].end <= lead and _ends(leaves_a[first]) == _ends(leaves_b[first]):
        first += 1
    keep = 0
    end_a, end_b = len(pre.text), len(post.text)
    while (
        keep < n_both - first
        and end_a - leaves_a[-1 - keep].start <= tail
        and _ends(leaves_a[-1 - keep], end_a) == _ends(leaves_b[-1 - keep], end_b)
    ):
        keep += 1
    for i in range(first):
        yield Segment(leaves_a[i].start, leaves_b[i].start, leaves_a[i].size)
    mid_a = leaves_a[first : len(leaves_a) - keep]
    mid_b = leaves_b[first : len(leaves_b) - keep]
    keys_a = [pre.text_of(leaf) for leaf in mid_a]
    keys_b = [post.text_of(leaf) for leaf in mid_b]
    for equal, i1, i2, j1, _ in blocks(keys_a, keys_b):
        if equal:
            for offset in range(i2 - i1):
                left, right = mid_a[i1 + offset], mid_b[j1 + offset]
                yield Segment(left.start, right.start, left.size)
    for i in range(keep, 0, -1):
        yield Segment(leaves_a[-i].start, leaves_b[-i].start, leaves_a[-i].size)


def _ends(leaf: Node, origin: int = 0) -> tuple[int, int]:
    return leaf.start - origin, leaf.end - origin


def _common_ends(a: str, b: str) -> tuple[int, int]:
    limit = min(len(a), len(b))
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    lead = low
    low, high = 0, limit - lead
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle :] == b[len(b) - middle :]:
            low = middle
        else:
            high = middle - 1
    return lead, low
