"""Which hunks of a change belong together: in one statement, or in what it assigns and a use of that."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import difftext
from rulewright.mining.text.statement_lines import statements


class Part(NamedTuple):
    """Lines that change together.

    Args:
        old: those before the change, from 1; for an insertion the one after it.
        new: those after it, from 0.
    """

    old: frozenset[int]
    new: frozenset[int]


def parts_of(pre: str, post: str, root: SgNode) -> list[Part]:
    """The parts of a change; `root` is the tree before it."""
    rows = difftext.rows(pre)
    hunks = difftext.changed(rows, difftext.rows(post))
    at = {line: n for n, (a0, a1, _, _) in enumerate(hunks) for line in range(a0 + 1, a1 + 1)}
    # What is inserted between two statements belongs to neither.
    after = {a0: n for n, (a0, a1, _, _) in enumerate(hunks) if a0 == a1}
    uses = _Uses(rows, at)
    group = list(range(len(hunks)))

    def first(n: int) -> int:
        while group[n] != n:
            group[n] = group[group[n]]
            n = group[n]
        return n

    for one in statements(root, {*at, *after, *(line + 1 for line in after)}):
        inside = [at[line] for line in one if line in at]
        inside += [after[line] for line in one if line in after and line + 1 in one]
        if inside:
            inside += uses.of_assigned(min(one))
        for n in inside[1:]:
            group[first(n)] = first(inside[0])
    found: dict[int, list[Part]] = {}
    for n, (a0, a1, b0, b1) in enumerate(hunks):
        part = Part(frozenset(range(a0 + 1, max(a1, a0 + 1) + 1)), frozenset(range(b0, b1)))
        found.setdefault(first(n), []).append(part)
    return [
        Part(*(frozenset[int]().union(*side) for side in zip(*some, strict=True))) for some in found.values()
    ]


class _Uses:
    """Finds the changed lines that use a variable, up to the end of the block in which it is assigned."""

    def __init__(self, rows: Sequence[str], hunk_at: Mapping[int, int]) -> None:
        self._rows = rows
        self._hunk_at = hunk_at
        self._ends = _ends_of_blocks(rows)
        self._lines: dict[str, list[int]] = {}
        for line in sorted(hunk_at):
            for name in {*_USED.findall(rows[line - 1])}:
                self._lines.setdefault(name, []).append(line)
        self._known: set[tuple[str, int]] = set()

    def of_assigned(self, line: int) -> Iterator[int]:
        """The hunks that use what the statement on a line (from 1) assigns."""
        assigned = _ASSIGNS.match(self._rows[line - 1])
        if assigned is None:
            return
        name, end = assigned[1], self._ends[line - 1]
        lines = self._lines.get(name, [])
        for use in lines[bisect_right(lines, line) :]:
            if use > end:
                return
            yield self._hunk_at[use]
            # The uses after it belong together already.
            if (name, end) in self._known:
                return
        self._known.add((name, end))


_ASSIGNS: Final = re.compile(
    r"\s*(?:(?:auto|const|final|let|val|var)\s+(?:mut\s+)?)?(\$?\w+)(?:\s*:[^=]+?)?\s*:?=(?![=>])"
)
_USED: Final = re.compile(r"(?<![\w$.])\$?\w+\b(?!\s*=[^=])")


def _ends_of_blocks(rows: Sequence[str]) -> list[int]:
    """For each line, the last one (from 1) before another that is indented less."""
    ends = [len(rows)] * len(rows)
    above: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        indent = len(row) - len(row.lstrip())
        while row.strip() and above and above[-1][1] > indent:
            ends[above.pop()[0]] = number
        if row.strip():
            above.append((number, indent))
    return ends
