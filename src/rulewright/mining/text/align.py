"""Where an edit changed a text: two aligned trees, the hunks between them, and a position map.

Invariant: replacing every hunk of `pre` by its text of `post` gives `post`; between hunks the
texts are equal. Which parts count as unchanged is a choice, so one pair has several `Edit` variants.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from rapidfuzz.distance import LCSseq

from rulewright.difftext import common_ends
from rulewright.mining import costs
from rulewright.mining.text.tree import Node, Tree

MIN_DICE: Final = 0.34
UNLIKE_KINDS: Final = 0.5
"""What the similarity of two nodes counts if they are of unlike kinds."""
MAX_BLOCK: Final = 40
"""Larger unequal blocks of children are aligned by order, not by similarity."""
_NAME: Final = re.compile(r"[A-Za-z_$]\w*")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IN_WORD: Final = re.compile(r"\w\w")
MAX_SLIDE: Final = 400
"""How many characters a hunk may move."""
MAX_HUNKS: Final = 200
MAX_DISTINCT: Final = 40
"""Edits with more hunks, or more distinct ones, are not searched."""


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
    """The range of `post` that a range of `pre` became, and the hunks inside."""

    start: int
    end: int
    hunks: frozenset[int]


@dataclass(frozen=True)
class Edit:
    """One variant of an edit: two trees and the hunks between them."""

    pre: Tree
    post: Tree
    hunks: tuple[Hunk, ...]
    cost: float = 0.0
    """Points by which this variant is less natural than the first (`costs`)."""
    strict: bool = True
    """Whether a rule must not change anything that the edit did not change."""
    shown: tuple[tuple[int, int], ...] = ()
    """Where the edit is not strict: ranges of `pre` that a rule must not change either."""

    @cached_property
    def slides(self) -> tuple[tuple[int, int], ...]:
        """How far each hunk can move left (negative) and right without changing the result."""
        ends = [0, *(hunk.a1 for hunk in self.hunks)][: len(self.hunks)]
        starts = [*(hunk.a0 for hunk in self.hunks), len(self.pre.text)][1:]
        return tuple(
            _slide(self.pre.text, self.post.text, hunk, low, high)
            for hunk, low, high in zip(self.hunks, ends, starts, strict=True)
        )

    @cached_property
    def n_distinct(self) -> int:
        """How many distinct changes there are: equal old and new texts count once."""
        return len({(self.pre.text[h.a0 : h.a1], self.post.text[h.b0 : h.b1]) for h in self.hunks})

    @cached_property
    def joins_lines(self) -> bool:
        """Whether a hunk replaces several lines by as many: each may have changed by itself."""
        old = (self.pre.text[hunk.a0 : hunk.a1].count("\n") for hunk in self.hunks)
        new = (self.post.text[hunk.b0 : hunk.b1].count("\n") for hunk in self.hunks)
        return any(a == b > 0 for a, b in zip(old, new, strict=True))

    @cached_property
    def is_workable(self) -> bool:
        """Whether there are changes, and few enough to search."""
        return 0 < self.n_distinct <= MAX_DISTINCT and len(self.hunks) <= MAX_HUNKS

    @cached_property
    def _shifts(self) -> tuple[int, ...]:
        """How much longer `post` is than `pre` before each hunk, and after the last."""
        shifts = [0]
        for hunk in self.hunks:
            shifts.append(hunk.b1 - hunk.a1)
        return tuple(shifts)

    def map_range(self, start: int, end: int) -> list[Mapped]:
        """The ranges of `post` that `[start, end)` of `pre` may have become, those with most hunks first.

        A hunk that reaches over an edge is moved aside if it can be. A hunk at an edge may count as
        inside or outside, so there are up to four ranges.
        """
        n_before, n_after = self._split_at(start, end)
        # A hunk that can move past the whole range counts as inside or outside, at its end.
        n_before = min(n_before, n_after)
        firsts = [n_before]
        while firsts[0] and self._fits(firsts[0] - 1, start, end):
            firsts.insert(0, firsts[0] - 1)
        lasts = [n_after]
        while lasts[0] < len(self.hunks) and self._fits(lasts[0], start, end):
            lasts.insert(0, lasts[0] + 1)
        if not all(self._fits(i, start, end) for i in range(n_before, n_after)):
            return []
        shifts = self._shifts
        found = [
            Mapped(start + shifts[first], end + shifts[last], frozenset(range(first, last)))
            for first in firsts
            for last in lasts
        ]
        return [mapped for mapped in found if mapped.start <= mapped.end]

    def _split_at(self, start: int, end: int) -> tuple[int, int]:
        """How many hunks can lie before a range, and from which number on they can lie after it."""
        n_before = 0
        for hunk, (low, _) in zip(self.hunks, self.slides, strict=True):
            if hunk.a1 + low > start:
                break
            n_before += 1
        n_after = len(self.hunks)
        while n_after and self.hunks[n_after - 1].a0 + self.slides[n_after - 1][1] >= end:
            n_after -= 1
        return n_before, n_after

    def _fits(self, number: int, start: int, end: int) -> bool:
        """Whether a hunk, moved if need be, lies within a range."""
        hunk, (low, high) = self.hunks[number], self.slides[number]
        return max(low, start - hunk.a0) <= min(high, end - hunk.a1)

    @cached_property
    def inserted_nodes(self) -> tuple[list[Node], ...]:
        """For each hunk, the nodes of `post` inside its new text, outer before inner."""
        return tuple(self.post.within(h.b0, h.b1) if h.b1 > h.b0 else [] for h in self.hunks)

    @cached_property
    def _inserted(self) -> tuple[frozenset[str], ...]:
        return tuple(
            frozenset(self.post.text_of(node) for node in nodes if node.named and not node.is_comment)
            for nodes in self.inserted_nodes
        )

    def inserted_texts(self, numbers: frozenset[int]) -> frozenset[str]:
        """Texts of the nodes that hunks insert."""
        return frozenset[str]().union(*(self._inserted[i] for i in numbers))

    @cached_property
    def _removed(self) -> tuple[Counter[str], ...]:
        gone = (self.pre.within(h.a0, h.a1) if h.a1 > h.a0 else [] for h in self.hunks)
        return tuple(
            Counter(self.pre.text_of(node) for node in nodes if node.named and not node.children)
            for nodes in gone
        )

    def repeated_removals(self, numbers: frozenset[int]) -> frozenset[str]:
        """Texts of leaves that hunks remove twice or more: names that the removed code binds itself."""
        count: Counter[str] = Counter()
        for number in numbers:
            count += self._removed[number]
        return frozenset(text for text, n in count.items() if n > 1)

    def touches(self, start: int, end: int) -> bool:
        """Whether a hunk changes something strictly inside a range of `pre`."""
        for hunk in self.hunks:
            if hunk.a0 >= end:
                return False
            if hunk.a1 > start and (hunk.a0 > start or hunk.a1 > hunk.a0):
                return True
        return False

    def may_change(self, start: int, end: int) -> bool:
        """Whether a rule may change a range of `pre` that the edit did not change."""
        if self.strict or self.touches(start, end):
            return False
        seen = (*self.shown, *self._changed_lines)
        return not any(low < end and start < high for low, high in seen)

    @cached_property
    def _changed_lines(self) -> tuple[tuple[int, int], ...]:
        """The lines of `pre` in which a hunk changes something: what it leaves there, the user has seen."""
        text = self.pre.text
        return tuple(
            (text.rfind("\n", 0, hunk.a0) + 1, (text.find("\n", hunk.a1) + 1 or len(text) + 1) - 1)
            for hunk in self.hunks
            if hunk.a1 > hunk.a0 or "\n" not in self.post.text[hunk.b0 : hunk.b1]
        )

    def position_after(self, position: int) -> int:
        """The position in `post` of a position of `pre` between hunks, after a hunk that ends there."""
        shift = 0
        for hunk in self.hunks:
            if hunk.a1 > position:
                break
            shift = hunk.b1 - hunk.a1
        return position + shift


def variants(
    pre: Tree, post: Tree, strict: bool = True, shown: tuple[tuple[int, int], ...] = ()
) -> Iterator[Edit]:
    """The variants of an edit: aligned by tree, then by token."""
    seen: set[tuple[Hunk, ...]] = set()
    by_tree, by_token = _pair(pre, post, pre.root, post.root), _token_segments(pre, post)
    for segments, cost in ((by_tree, 0.0), (by_token, costs.TOKEN_READING)):
        hunks = _hunks(pre.text, post.text, list(segments))
        if len(hunks) <= MAX_HUNKS:
            hunks = _aligned_to_nodes(pre, post, hunks)
        if hunks not in seen:
            seen.add(hunks)
            yield Edit(pre, post, hunks, cost, strict, shown)


def _slide(pre: str, post: str, hunk: Hunk, low: int, high: int) -> tuple[int, int]:
    """How far a hunk can move within `[low, high]` of `pre` without changing the result."""
    left = right = 0
    most = min(hunk.a0 - low, MAX_SLIDE)
    while left < most and pre[hunk.a1 - 1 - left] == post[hunk.b1 - 1 - left]:
        left += 1
    most = min(high - hunk.a1, MAX_SLIDE)
    while right < most and pre[hunk.a0 + right] == post[hunk.b0 + right]:
        right += 1
    return -left, right


def _aligned_to_nodes(pre: Tree, post: Tree, hunks: tuple[Hunk, ...]) -> tuple[Hunk, ...]:
    """Move each hunk to where it removes or inserts whole nodes, if there is such a place."""
    slides = Edit(pre, post, hunks).slides
    aligned: list[Hunk] = []
    for hunk, (low, high) in zip(hunks, slides, strict=True):
        floor = aligned[-1].a1 - hunk.a0 if aligned else low
        shifts = sorted(range(max(low, floor), high + 1), key=lambda s: (abs(s), s))
        moved = (Hunk(hunk.a0 + s, hunk.a1 + s, hunk.b0 + s, hunk.b1 + s) for s in shifts)
        aligned.append(next((h for h in moved if _whole(pre, post, h)), hunk))
    return tuple(aligned)


def _whole(pre: Tree, post: Tree, hunk: Hunk) -> bool:
    """Whether what a hunk removes (or, if nothing, inserts) is one node or neighboring nodes, whole."""
    tree, start, end = (pre, hunk.a0, hunk.a1) if hunk.a1 > hunk.a0 else (post, hunk.b0, hunk.b1)
    start, end = tree.stripped(start, end)
    if start == end:
        return True
    text = tree.text
    if _IN_WORD.match(text, max(0, start - 1)) or _IN_WORD.match(text, end - 1):
        return False
    return tree.is_edge_to_edge(start, end) and bool(tree.siblings_spanning(start, end))


def _hunks(pre: str, post: str, segments: Sequence[Segment]) -> tuple[Hunk, ...]:
    """The hunks between segments of equal text."""
    hunks: list[Hunk] = []
    a = b = 0
    for segment in [*segments, Segment(len(pre), len(post), 0)]:
        if pre[a : segment.a] != post[b : segment.b]:
            hunk = _trim(pre, post, Hunk(a, segment.a, b, segment.b))
            if hunks and hunks[-1].a1 == hunk.a0 and hunks[-1].b1 == hunk.b0:
                hunk = Hunk(hunks[-1].a0, hunk.a1, hunks.pop().b0, hunk.b1)
            hunks.append(hunk)
        a, b = segment.a + segment.size, segment.b + segment.size
    return tuple(hunks)


def _trim(pre: str, post: str, hunk: Hunk) -> Hunk:
    """Leave common blanks at both ends out of a hunk, those on the left first."""
    a0, a1, b0, b1 = hunk
    while a0 < a1 and b0 < b1 and pre[a0] == post[b0] and pre[a0].isspace():
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and pre[a1 - 1] == post[b1 - 1] and pre[a1 - 1].isspace():
        a1, b1 = a1 - 1, b1 - 1
    return Hunk(a0, a1, b0, b1)


def _pair(pre: Tree, post: Tree, a: Node, b: Node) -> Iterator[Segment]:
    """The segments of equal text below two nodes that correspond to each other."""
    if a.size == b.size and pre.text_of(a) == post.text_of(b):
        yield Segment(a.start, b.start, a.size)
        return
    if a.kind != b.kind or not a.children or not b.children:
        # One became the other: what follows is a change of its own.
        yield Segment(a.end, b.end, 0)
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
            for i, j in _similar_pairs(pre, post, a.children[i1:i2], b.children[j1:j2]):
                yield from _pair(pre, post, a.children[i1 + i], b.children[j1 + j])


def blocks(a: Sequence[object], b: Sequence[object]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Equal and unequal blocks of two sequences, by longest common subsequence."""
    numbers: dict[object, int] = {}
    ids_a, ids_b = ([numbers.setdefault(x, len(numbers)) for x in side] for side in (a, b))
    i1 = j1 = 0
    for op in LCSseq.opcodes(ids_a, ids_b):
        if op.tag == "equal":
            if op.src_start > i1 or op.dest_start > j1:
                yield False, i1, op.src_start, j1, op.dest_start
            yield True, op.src_start, op.src_end, op.dest_start, op.dest_end
            i1, j1 = op.src_end, op.dest_end
    if len(a) > i1 or len(b) > j1:
        yield False, i1, len(a), j1, len(b)


def _similar_pairs(pre: Tree, post: Tree, a: Sequence[Node], b: Sequence[Node]) -> list[tuple[int, int]]:
    """Pairs of children of one kind, in order, with the largest total similarity (Dice of token bags)."""
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
            elif left.named and right.named and len(a) == len(b) > 1:
                dice = _dice(pre, post, left, right)
                like[i][j] = dice * UNLIKE_KINDS if dice >= MIN_DICE else 0.0
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
    """Similarity by tokens; of two names, by the words that they are made of."""
    found = _dice_of(pre.bag(a), post.bag(b))
    if not found:
        names = pre.text_of(a), post.text_of(b)
        if all(map(_NAME.fullmatch, names)):
            found = _dice_of(*(Counter(map(str.lower, _WORDS.findall(name))) for name in names))
    return found


def _dice_of(a: Counter[str], b: Counter[str]) -> float:
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def _token_segments(pre: Tree, post: Tree) -> Iterator[Segment]:
    """Align the leaves of the differing part by longest common subsequence."""
    lead, tail = common_ends(pre.text, post.text)
    mid_a, mid_b = _leaves(pre, lead, tail), _leaves(post, lead, tail)
    # Leaves may begin inside the common ends: those shrink to what lies outside of the leaves.
    lead = min([lead, *(mid[0].start for mid in (mid_a, mid_b) if mid)])
    last = [len(tree.text) - mid[-1].end for tree, mid in ((pre, mid_a), (post, mid_b)) if mid]
    tail = min([tail, *last])
    yield Segment(0, 0, lead)
    keys_a = [pre.text_of(leaf) for leaf in mid_a]
    keys_b = [post.text_of(leaf) for leaf in mid_b]
    for equal, i1, i2, j1, _ in blocks(keys_a, keys_b):
        if equal:
            for offset in range(i2 - i1):
                left, right = mid_a[i1 + offset], mid_b[j1 + offset]
                yield Segment(left.start, right.start, left.size)
    yield Segment(len(pre.text) - tail, len(post.text) - tail, tail)


def _leaves(tree: Tree, lead: int, tail: int) -> list[Node]:
    """The leaves that touch the part between the common ends."""
    end = len(tree.text) - tail
    found: list[Node] = []
    stack = [tree.root]
    while stack:
        node = stack.pop()
        if node.end < lead or node.start > end:
            continue
        if not node.children:
            if node.size:
                found.append(node)
        else:
            stack.extend(reversed(node.children))
    return found
