"""Two versions of a text: what they share, how to make one of the other, how to show the difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import compress, count
from operator import ne
from typing import Any


def common_ends(a: Sequence[object], b: Sequence[object]) -> tuple[int, int]:
    """How many items two sequences share at the beginning, and how many after those at the end.

    >>> common_ends("abcab", "abab")
    (2, 2)
    """
    bound = min(len(a), len(b))
    lead = next(compress(count(), map(ne, a, b)), bound)
    tail = next(compress(count(), map(ne, reversed(a), reversed(b))), bound)
    return lead, min(tail, bound - lead)


def common_start(several: Sequence[Any]) -> int:
    """How many items all sequences begin with alike; 0 of none.

    >>> common_start(["abcx", "abd", "abc"]), common_start([])
    (2, 0)
    """
    # What the first and the last in order share, those between share too.
    return common_ends(min(several), max(several))[0] if several else 0


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


def changed(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Ranges of lines that differ, `old[a0:a1]` against `new[b0:b1]`, in order.

    >>> changed(["a", "b", "c"], ["a", "x", "c", "d"])
    [(1, 2, 1, 2), (3, 3, 3, 4)]
    """
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(a0, a1, b0, b1) for tag, a0, a1, b0, b1 in matcher.get_opcodes() if tag != "equal"]


def unified(before: str, after: str, context: int = 1) -> list[str]:
    """The lines of a unified diff without file names; none where nothing changed."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    return list(lines)[2:]
