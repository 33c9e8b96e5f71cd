"""Similarity of an answer's change to the expected change, by whole lines.

Invariant: doing nothing scores 0, the wanted text scores 1. `srl.change` has the finer measure that
rewards use. Similarity of whole files is reported only to show that it says little: the unchanged input
scores above 0.9.
"""

from __future__ import annotations

import difflib
from collections import Counter

from rulewright import difftext


def changed_lines(before: str, after: str) -> Counter[tuple[str, str]]:
    """Removed and added lines, each with its sign, trailing blanks ignored."""
    old, new = _lines(before), _lines(after)
    counts: Counter[tuple[str, str]] = Counter()
    for a0, a1, b0, b1 in difftext.changed(old, new):
        counts.update(("-", line) for line in old[a0:a1])
        counts.update(("+", line) for line in new[b0:b1])
    return counts


def changed_line_overlap(pre: str, wanted: str, got: str) -> float:
    r"""Dice overlap of the changed lines of `pre → wanted` and `pre → got`, in [0, 1].

    >>> changed_line_overlap("a\nb\n", "a\nc\n", "a\nb\n")
    0.0
    """
    if got == wanted:
        return 1.0
    ours, theirs = changed_lines(pre, got), changed_lines(pre, wanted)
    total = ours.total() + theirs.total()
    # Only blanks at line ends or the last newline differ: no line tells the two apart.
    if total == 0:
        return 0.0
    return 2 * (ours & theirs).total() / total


def file_similarity(wanted: str, got: str) -> float:
    """Ratio of lines in common, in [0, 1]."""
    return difflib.SequenceMatcher(None, _lines(wanted), _lines(got), autojunk=False).ratio()


def same_but_blanks(wanted: str, got: str) -> bool:
    """Whether the texts agree up to blanks at line ends and blank lines at the end."""
    return _lines(wanted.rstrip()) == _lines(got.rstrip())


def diff_size(before: str, after: str) -> int:
    """How many lines a change removes and adds."""
    return changed_lines(before, after).total()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n")]
