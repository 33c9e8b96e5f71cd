"""Lines of a text, and two versions of it: common parts, splicing, unified diff."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from operator import ne
from typing import Any, Final

FEW: Final = 10
"""Of as many lines one at most differs from the one at the same place: then those lines were changed."""
MANY_PAIRS: Final = 50_000
"""Pairs of equal lines, one of each text, from which the search for the smallest difference is too long."""
_UNIX_END: Final = re.compile(r"(?<!\r)\n")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


def lines(text: str) -> list[str]:
    r"""The lines of a text with their ends, as diffs and ast-grep count them: only `\n` ends one.

    >>> lines("a\fb\r\nc")
    ['a\x0cb\r\n', 'c']
    """
    return _LINE.findall(text)


def rows(text: str) -> list[str]:
    """The lines of a text without their ends."""
    return [line.removesuffix("\n") for line in lines(text)]


def dedent(text: str, indent: str) -> str | None:
    r"""Take an indent off every line after the first; `None` if a line has less.

    >>> dedent("if a:\n    b\n\n  c", "  "), dedent("if a:\nb", "  ")
    ('if a:\n  b\n\nc', None)
    """
    first, *rest = text.split("\n")
    if any(line.strip() and not line.startswith(indent) for line in rest):
        return None
    return "\n".join([first, *(line[len(indent) :] if line.startswith(indent) else "" for line in rest)])


def unix(text: str) -> str:
    """A text with the line ends of Unix."""
    return text.replace("\r\n", "\n")


def ended_alike(text: str, model: str) -> str:
    r"""A text whose lines end as those of Windows do, if all lines of another one do.

    >>> ended_alike("a\nb\r\n", "c\r\n"), ended_alike("a\nb\r\n", "c\r\nd\n")
    ('a\r\nb\r\n', 'a\nb\r\n')
    """
    n_windows = model.count("\r\n")
    return _UNIX_END.sub("\r\n", text) if 0 < n_windows == model.count("\n") else text


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


def signed_words(old: Iterable[str], new: Iterable[str]) -> frozenset[str]:
    """The words that go (`-word`) and those that come (`+word`), each once.

    >>> sorted(signed_words(["x", "==", "None"], ["x", "is", "None"]))
    ['+is', '-==']
    """
    before, after = Counter(old), Counter(new)
    return frozenset({f"-{word}" for word in before - after} | {f"+{word}" for word in after - before})


def splice(text: str, edits: Iterable[tuple[int, int, str] | tuple[int, int, str, object]]) -> str:
    """Replace disjoint character ranges; what an edit has beside that does not matter.

    >>> splice("a + b", [(4, 5, "y"), (0, 1, "x")])
    'x + y'
    """
    parts: list[str] = []
    done = 0
    for start, end, new, *_ in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[done:start], new]
        done = end
    return "".join([*parts, text[done:]])


def changed(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Ranges of lines that differ, `old[a0:a1]` against `new[b0:b1]`, in order.

    >>> changed(["a", "b", "c"], ["a", "x", "c", "d"])
    [(1, 2, 1, 2), (3, 3, 3, 4)]
    """
    lead, tail = common_ends(old, new)
    # What both ends share need not be searched: most of a file, mostly.
    inner = old[lead : len(old) - tail], new[lead : len(new) - tail]
    found = _in_place(*inner, FEW)
    if found is None:
        found = []
        a, b = 0, 0
        for a_end, b_end in [*_anchors(*inner), (len(inner[0]), len(inner[1]))]:
            # Between two anchors: over a whole file of a thousand like lines the search takes seconds.
            between = _searched(inner[0][a:a_end], inner[1][b:b_end])
            found += [(a0 + a, a1 + a, b0 + b, b1 + b) for a0, a1, b0, b1 in between]
            a, b = a_end + 1, b_end + 1
    return [(a0 + lead, a1 + lead, b0 + lead, b1 + lead) for a0, a1, b0, b1 in found]


def _in_place(old: Sequence[str], new: Sequence[str], few: int) -> list[tuple[int, int, int, int]] | None:
    """The ranges if lines were changed in place, one of `few` at most, as by most rules; else `None`."""
    apart = list(compress(count(), map(ne, old, new)))
    if len(old) != len(new) or few * len(apart) > len(old):
        return None
    found: list[tuple[int, int, int, int]] = []
    for at in apart:
        start = found.pop()[0] if found and found[-1][1] == at else at
        found.append((start, at + 1, start, at + 1))
    return found


def _searched(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The ranges by a search; where very many lines are alike, it would take minutes: then coarser ones."""
    if old == new:
        return []
    often = Counter(new)
    is_long = sum(n * often[line] for line, n in Counter(old).items()) > MANY_PAIRS
    if is_long and (found := _in_place(old, new, 2)) is not None:
        return found
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=is_long)
    return [(a0, a1, b0, b1) for name, a0, a1, b0, b1 in matcher.get_opcodes() if name != "equal"]


def changed_lines(old: str, new: str, old_side: bool) -> Iterator[int]:
    r"""The lines (from 1) of one side that two texts differ in; where there are none, those beside it.

    >>> list(changed_lines("a\nb\n", "a\nc\n", old_side=True))
    [2]
    >>> list(changed_lines("a\n", "a\nb\n", old_side=True))
    [1, 2]
    """
    for a0, a1, b0, b1 in changed(lines(old), lines(new)):
        start, end = (a0, a1) if old_side else (b0, b1)
        yield from range(start + 1, end + 1) if end > start else (start, start + 1)


def old_line(line: int, ranges: Sequence[tuple[int, int, int, int]]) -> int:
    """The line (from 0) that a line of a changed text had before, by the `changed` ranges of lines.

    >>> [old_line(line, changed("abc", "axybc")) for line in range(5)]
    [0, 1, 1, 1, 2]
    """
    for a0, a1, b0, b1 in reversed(ranges):
        if line >= b1:
            return line - b1 + a1
        if line >= b0:
            return min(a0 + line - b0, max(a0, a1 - 1))
    return line


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Where lines stand that both have once, as many as come in the same order in both.

    >>> _anchors(["x", "a", "x", "b", "c"], ["x", "c", "a", "b"])
    [(1, 2), (3, 3)]
    """
    once = {line for line, n in Counter(old).items() if n == 1}
    once &= {line for line, n in Counter(new).items() if n == 1}
    at = {line: number for number, line in enumerate(new) if line in once}
    ends: list[int] = []
    chains: list[_Chain] = []
    """By length less one: the chain of that length that ends first in `new`, its end apart in `ends`."""
    for number, line in enumerate(old):
        if line in once:
            place = bisect_left(ends, at[line])
            ends[place : place + 1] = [at[line]]
            chains[place : place + 1] = [((number, at[line]), chains[place - 1] if place else None)]
    found: list[tuple[int, int]] = []
    chain = chains[-1] if chains else None
    while chain is not None:
        pair, chain = chain
        found.append(pair)
    return found[::-1]


_Chain = tuple[tuple[int, int], "_Chain | None"]
"""A pair of lines, and the pairs before it."""


def hunks(old: Sequence[str], new: Sequence[str], context: int = 3) -> Iterator[str]:
    """The lines of a unified diff without file names; lines keep the ends that they have.

    >>> list(hunks(["a", "b", "c"], ["a", "x", "c"], 1))
    ['@@ -1,3 +1,3 @@', ' a', '-b', '+x', ' c']
    """
    groups: list[list[tuple[int, int, int, int]]] = []
    for change in changed(old, new):
        if groups and change[0] - groups[-1][-1][1] <= 2 * context:
            groups[-1].append(change)
        else:
            groups.append([change])
    for group in groups:
        (a0, _, b0, _), (_, a1, _, b1) = group[0], group[-1]
        before, after = min(context, a0), min(context, len(old) - a1)
        yield f"@@ -{_range(a0 - before, a1 + after)} +{_range(b0 - before, b1 + after)} @@"
        at = a0 - before
        for start, end, b_start, b_end in group:
            yield from (" " + line for line in old[at:start])
            yield from ("-" + line for line in old[start:end])
            yield from ("+" + line for line in new[b_start:b_end])
            at = end
        yield from (" " + line for line in old[at : a1 + after])


def _range(start: int, end: int) -> str:
    """Lines of one side as a diff counts them: an empty range begins on the line before it."""
    size = end - start
    return str(start + 1) if size == 1 else f"{start + (size > 0)},{size}"


def unified(before: str, after: str, context: int = 1) -> list[str]:
    r"""The lines of a unified diff without file names; none where nothing changed.

    >>> unified("a\n", "a")
    ['@@ -1 +1 @@', '-a', '+a\n\\ No newline at end of file']
    """
    old, new = rows(before), rows(after)
    if before.endswith("\n") != after.endswith("\n"):
        for side, text in ((old, before), (new, after)):
            if side and not text.endswith("\n"):
                side[-1] += "\n\\ No newline at end of file"
    return list(hunks(old, new, context))


def shown(before: str, after: str | None, context: int = 1) -> str:
    """A unified diff without file names as text; empty where nothing changed, or nothing came of it."""
    return "" if after is None else "\n".join(unified(before, after, context))
