"""Replace a part of a token (string, comment, number, name) by `transform`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from rulewright.actions import visit
from rulewright.actions.visit import regex_escape
from rulewright.difftext import common_ends, common_start
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, Mapped, blocks
from rulewright.mining.text.lift import VARIABLE_LIKE
from rulewright.mining.text.tree import Node

MAX_PARTS: Final = 6
MAX_CORE: Final = 400
MAX_JOINED: Final = 40
MAX_WIDER: Final = 40
"""Most words by which a range is widened until its text is unique."""
MAX_WORDS: Final = 4_000
"""Longer tokens (in words, blanks and signs) are not compared word by word."""


def inside_token(edit: Edit, number: int) -> Iterator[Candidate]:
    """Rules for a hunk inside a token: replace the changed part by `transform`."""
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
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_JOINED_LEFT: Final = re.compile(r"\w+(?:[.:/-]|::|->)$|@\w+[ \t]+$")
"""A prefix that belongs to the next word: `self.` before `width`, the tag of a comment before its type."""


def _token_rules(edit: Edit, node: Node, mapped: Mapped) -> Iterator[Candidate]:
    """Rules that replace one part of a token, or several."""
    old, new = edit.pre.text_of(node), edit.post.text[mapped.start : mapped.end]
    if old == new or not new:
        return
    lead, tail = common_ends(old, new)
    for start, end in _cores(old, lead, len(old) - tail):
        if (start, end) != (0, len(old)):
            parts = [(start, end, new[start : len(new) - (len(old) - end)])]
            yield from _replacing(edit, node, mapped, parts)
    parts = _word_changes(old, new)
    if 2 <= len(parts) <= MAX_PARTS:
        yield from _replacing(edit, node, mapped, parts)


def _replacing(
    edit: Edit, node: Node, mapped: Mapped, parts: Sequence[tuple[int, int, str]]
) -> Iterator[Candidate]:
    """One rule that replaces parts of a token (start, end, new text), one `transform` after another."""
    old = edit.pre.text_of(node)
    replacements: list[tuple[str, str]] = []
    extra = 0.0
    for start, end, by in parts:
        core = old[start:end]
        # A word, or what is removed, says which tokens are meant. A sign that only gets something added is
        # in every token of its kind.
        is_telling = _WORD.search(core) is not None or sum(common_ends(core, by)) < len(core)
        if VARIABLE_LIKE.search(by) or not is_telling:
            return
        regex = regex_escape(core)
        if len(regex) > MAX_CORE:
            return
        if start == 0:
            regex = "^" + regex
        if end == len(old):
            regex += "$"
        replacements.append((regex, by))
        extra += costs.LINES_IN_TOKEN if "\n" in core or "\n" in by else 0.0
    matcher = {"kind": node.kind, "pattern": "$T", "regex": replacements[0][0]}
    rule = {"rule": matcher, "transform": _replace_steps(replacements), "fix": "$NEW"}
    yield Candidate(rule, "transform", node, node.kind, mapped.hunks, extra)


def _replace_steps(replacements: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The `transform` of `$T` into `$NEW` that replaces regular expressions one after another.

    >>> _replace_steps([("^a", "b")])
    {'NEW': {'replace': {'source': '$T', 'replace': '^a', 'by': 'b'}}}
    """
    names = [*(f"NEW{number}" for number in range(1, len(replacements))), "NEW"]
    sources = ["$T", *(f"${name}" for name in names)]
    return {
        name: {"replace": {"source": source, "replace": regex, "by": by.replace("$", "$$")}}
        for name, source, (regex, by) in zip(names, sources, replacements, strict=False)
    }


def common_affix(edit: Edit, candidate: Candidate, spans: Sequence[tuple[int, int]]) -> Candidate | None:
    """A rule for one end of names, about the longest end that the names at `spans` share; else `None`.

    For `OldCart` and `OldCartItem`, `OldCart` at the start says more than `Old`.
    """
    step = candidate.rule.get("transform", {}).get("NEW", {}).get("replace", {})
    regex, names = str(step.get("replace", "")), sorted({edit.pre.text[start:end] for start, end in spans})
    if len(names) < 2 or len(candidate.rule["transform"]) > 1 or not all(map(_NAME.fullmatch, names)):
        return None
    core = visit.unescaped(regex.removeprefix("^").removesuffix("$"))
    if regex == "^" + regex_escape(core):
        same = names[0][: common_start(names)]
        regex, by = "^" + regex_escape(same), step["by"] + same[len(core) :]
    elif regex == regex_escape(core) + "$":
        same = names[0][len(names[0]) - common_start([name[::-1] for name in names]) :]
        regex, by = regex_escape(same) + "$", same[: len(same) - len(core)] + step["by"]
    else:
        return None
    if len(same) <= len(core):
        return None
    rule = {**candidate.rule, "rule": {**candidate.rule["rule"], "regex": regex}}
    step = {"source": "$T", "replace": regex, "by": by}
    return replace(candidate, rule={**rule, "transform": {"NEW": {"replace": step}}})


def _word_changes(old: str, new: str) -> list[tuple[int, int, str]]:
    """The changed runs of words (start, end, new text), widened until each is unique in the old text."""
    words_a = [(m.start(), m.group()) for m in _WORDS.finditer(old)]
    words_b = [m.group() for m in _WORDS.finditer(new)]
    if max(len(words_a), len(words_b)) > MAX_WORDS:
        return []
    found: list[tuple[int, int, str]] = []
    for equal, i1, i2, j1, j2 in blocks([w for _, w in words_a], words_b):
        if equal:
            continue
        while i1 > 0 and (i1 == i2 or old.count("".join(w for _, w in words_a[i1:i2])) > 1):
            i1, j1 = i1 - 1, j1 - 1
        start = words_a[i1][0]
        end = words_a[i2][0] if i2 < len(words_a) else len(old)
        if found and start < found[-1][1]:
            return []
        found.append((start, end, "".join(words_b[j1:j2])))
    return found


_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")


def _cores(old: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges to replace: the changed part, widened to whole words, and until it is unique."""
    wide_start, wide_end = start, end
    while (
        wide_start > 0 and _WORD.match(old[wide_start - 1]) and _WORD.match(old[wide_start : wide_start + 1])
    ):
        wide_start -= 1
    while wide_end < len(old) and _WORD.match(old[wide_end]) and _WORD.match(old[wide_end - 1 : wide_end]):
        wide_end += 1
    if start == end and (wide_start, wide_end) == (start, end) and 0 < start < len(old):
        while wide_start > 0 and _WORD.match(old[wide_start - 1]):
            wide_start -= 1
        if wide_start == start:
            wide_start -= 1
    if (start == 0 or end == len(old)) and (wide_start, wide_end) != (start, end):
        yield start, end
    joined = _JOINED_LEFT.search(old, max(0, wide_start - MAX_JOINED), wide_start)
    if joined is None or not joined[0].startswith("@") or wide_start == wide_end:
        yield wide_start, wide_end
    if joined is not None and wide_start < wide_end:
        yield joined.start(), wide_end
    if old.count(old[wide_start:wide_end]) > 1:
        yield from _unique(old, wide_start, wide_end)


def _unique(old: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The range widened by words, to the left or to the right, until its text is unique."""
    words = [(m.start(), m.end()) for m in _WORDS.finditer(old)]
    before = [first for first, _ in words if first < start][-MAX_WIDER:]
    after = [last for _, last in words if last > end][:MAX_WIDER]
    left = next((first for first in reversed(before) if old.count(old[first:end]) == 1), None)
    right = next((last for last in after if old.count(old[start:last]) == 1), None)
    if left is not None:
        yield left, end
    if right is not None:
        yield start, right
