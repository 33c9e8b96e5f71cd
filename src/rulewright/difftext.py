"""Two versions of a text: what they share, how to make one of the other, how to show the difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import compress, count
from operator import ne


def common_ends(a: Sequence[object], b: Sequence[object]) -> tuple[int, int]:
    """How many items two sequences share at the beginning, and how many after those at the end.

    >>> common_ends("abcab", "abab")
    (2, 2)
    """
    bound = min(len(a), len(b))
    lead = next(compress(count(), map(ne, a, b)), bound)
    tail = next(compress(count(), map(ne, reversed(a), reversed(b))), bound)
    return lead, min(tail, bound - lead)


def splice(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """Replace disjoint character ranges.

    >>> splice("a + b", [(4, 5, "y"), (0, 1, "x")])
    'x + y'
    """
    parts: list[str] = []
    done = 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[done:start], new]
        done = end
    return "".join([*parts, text[done:]])


def unified(before: str, after: str, context: int = 1) -> list[str]:
    """The lines of a unified diff without file names; none where nothing changed."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    return list(lines)[2:]
