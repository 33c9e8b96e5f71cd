"""Edits within a token (string, comment, number, name): replace a part of it by `transform`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rulewright.mining.align import Edit, Mapped, blocks
from rulewright.mining.candidate import Candidate, regex_escape
from rulewright.mining.lift import FORGED_HOLE
from rulewright.mining.tree import Node

MAX_PARTS: Final = 4
MAX_CORE: Final = 400


def inside_token(edit: Edit, number: int) -> Iterator[Candidate]:
    """An edit within a string, comment, number or name: replace a part by `transform`."""
    hunk = edit.hunks[number]
    for node in edit.pre.covering(hunk.a0, hunk.a1):
        if node.parent is None:
            return
        whole = "string" in node.kind or "template" in node.kind or node.is_comment
        if node.children and not whole:
            if hunk.a1 > hunk.a0:
                return
            continue
        if not node.named or not node.size:
            continue
        for mapped in edit.map_range(node.start, node.end):
            if number in mapped.hunks and len(edit.post.at(mapped.start, mapped.end)):
                yield from _token_rules(edit, node, mapped)


_WORD: Final = re.compile(r"\w")


def _token_rules(edit: Edit, node: Node, mapped: Mapped) -> Iterator[Candidate]:
    old, new = edit.pre.text_of(node), edit.post.text[mapped.start : mapped.end]
    if old == new or not new:
        return
    lead = 0
    while lead < min(len(old), len(new)) and old[lead] == new[lead]:
        lead += 1
    tail = 0
    while tail < min(len(old), len(new)) - lead and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    for start, end in _cores(old, lead, len(old) - tail):
        if (start, end) != (0, len(old)):
            yield from _replacing(node, mapped, old, [(start, end, new[start : len(new) - (len(old) - end)])])
    parts = _word_changes(old, new)
    if 2 <= len(parts) <= MAX_PARTS:
        yield from _replacing(node, mapped, old, parts)


def _replacing(
    node: Node, mapped: Mapped, old: str, parts: Sequence[tuple[int, int, str]]
) -> Iterator[Candidate]:
    """One rule that replaces parts of a token, each by a `transform` on the one before."""
    steps: dict[str, Any] = {}
    source, extra, first = "$T", 0.0, ""
    for number, (start, end, by) in enumerate(parts):
        core = old[start:end]
        if FORGED_HOLE.search(by) or len(core) > MAX_CORE or (not core and 0 < start < len(old)):
            return
        regex = regex_escape(core)
        if start == 0:
            regex = "^" + regex
        if end == len(old):
            regex += "$"
        name = "NEW" if number == len(parts) - 1 else f"NEW{number + 1}"
        steps[name] = {"replace": {"source": source, "replace": regex, "by": by.replace("$", "$$")}}
        source, first = f"${name}", first or regex
        extra += 0.4 if "\n" in core or "\n" in by else 0.0
    rule = {"rule": {"kind": node.kind, "pattern": "$T", "regex": first}, "transform": steps, "fix": "$NEW"}
    yield Candidate(rule, "transform", node, node.kind, mapped.hunks, 1, extra)


def _word_changes(old: str, new: str) -> list[tuple[int, int, str]]:
    """The changed runs of words between two texts, widened until each stands once in the old."""
    words_a = [(m.start(), m.group()) for m in _WORDS.finditer(old)]
    words_b = [m.group() for m in _WORDS.finditer(new)]
    if len(words_a) > 4000 or len(words_b) > 4000:
        return []
    found: list[tuple[int, int, str]] = []
    for equal, i1, i2, j1, j2 in blocks([w for _, w in words_a], words_b):
        if equal:
            continue
        while i1 > 0 and (i1 == i2 or old.count("".join(w for _, w in words_a[i1:i2])) > 1):
            i1, j1 = i1 - 1, j1 - 1
        start = words_a[i1][0] if i1 < len(words_a) else len(old)
        end = words_a[i2][0] if i2 < len(words_a) else len(old)
        if found and start < found[-1][1]:
            return []
        found.append((start, end, "".join(words_b[j1:j2])))
    return found


_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")


def _cores(old: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The changed part, and the part widened to whole words."""
    wide_start, wide_end = start, end
    while (
        wide_start > 0
        and _WORD.match(old[wide_start - 1])
        and _WORD.match(old[wide_start : wide_start + 1] or " ")
    ):
        wide_start -= 1
    while (
        wide_end < len(old)
        and _WORD.match(old[wide_end])
        and _WORD.match(old[wide_end - 1 : wide_end] or " ")
    ):
        wide_end += 1
    if start == end and (wide_start, wide_end) == (start, end) and 0 < start < len(old):
        while wide_start > 0 and _WORD.match(old[wide_start - 1]):
            wide_start -= 1
        if wide_start == start:
            wide_start -= 1
    if (start == 0 or end == len(old)) and (wide_start, wide_end) != (start, end):
        yield start, end
    yield wide_start, wide_end
