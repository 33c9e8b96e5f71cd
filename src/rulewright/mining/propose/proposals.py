"""Candidate rules for a hunk: all operators, the most promising first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Final

from rulewright import grammars
from rulewright.actions.visit import regex_escape
from rulewright.difftext import dedent
from rulewright.mining import costs
from rulewright.mining.propose import comments, deletions, insertions, runs, tokens
from rulewright.mining.propose.candidate import MAX_ANCHOR_CHARS, Candidate, Shape
from rulewright.mining.rules.reading import MARGIN
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import (
    GENERAL,
    POLICIES,
    VARIABLE_LIKE,
    Lifted,
    Policy,
    leading_spaces,
    lift,
)
from rulewright.mining.text.snippets import is_wrapped, parses_as, selector_rule
from rulewright.mining.text.tree import Node, Tree

MAX_ANCHORS: Final = 8
LEXICAL_CHARS: Final = 60
SHORT_CHARS: Final = 40
"""A text up to this length is matched by kind and text rather than by a pattern in a snippet."""
LINKS: Final = frozenset(".?-|&+:")
"""Characters that begin the next link of a chain."""
LARGE_ANCHOR: Final = 700
"""Anchors with more characters are lifted by the general policy only."""
_WORD: Final = re.compile(r"\w+")

Places = set[tuple[int, frozenset[int]]]
"""Anchors, by index, with the hunks inside; the index `ANYWHERE` stands for all anchors."""

ANYWHERE: Final = -1


def for_hunk(
    edit: Edit, number: int, names: frozenset[str], done: Places, enough: Callable[[], bool]
) -> Iterator[Candidate]:
    """Every operator's candidates for one hunk, promising ones first.

    Args:
        edit: the edit.
        number: of the hunk.
        names: names that stay literal.
        done: places that have a sound pattern already; may grow while this runs.
        enough: tells whether literal rules and runs are no longer worth trying.
    """
    seen: set[str] = set()
    for candidate in _all(edit, number, names, done, enough):
        if candidate.key not in seen:
            seen.add(candidate.key)
            # What sort of change the hunks of the candidate are.
            old = [edit.pre.text[h.a0 : h.a1] for h in (edit.hunks[i] for i in candidate.hunks)]
            new = [edit.post.text[h.b0 : h.b1] for h in (edit.hunks[i] for i in candidate.hunks)]
            adds = not any(text.strip() for text in old)
            blanks = MARGIN if candidate.anchor.is_comment else r"\s+"
            bare = [[re.sub(blanks, "", text) for text in side] for side in (old, new)]
            yield replace(
                candidate,
                adds=adds,
                inserts=adds and all("\n" in text for text in new),
                blanks=bare[0] == bare[1],
            )


def _all(
    edit: Edit, number: int, names: frozenset[str], done: Places, enough: Callable[[], bool]
) -> Iterator[Candidate]:
    yield from tokens.inside_token(edit, number)
    yield from runs.final_newline(edit, number)
    yield from deletions.deletions(edit, number, names)
    # Anchors, each with the well-formed ranges that it may have become.
    placed = [
        (anchor, mapped)
        for anchor in anchors(edit, number)
        for mapped in edit.map_range(anchor.start, anchor.end)
        if number in mapped.hunks and _well_formed(edit, anchor, mapped)
    ]
    for anchor, mapped in placed:
        if not anchor.children:
            yield from comments.whole_comment(edit, anchor, mapped)
            yield from _literal(edit, anchor, mapped)
    for policy in POLICIES:
        for level, (anchor, mapped) in enumerate(placed):
            if anchor.size > LARGE_ANCHOR and policy is not GENERAL:
                continue
            if (anchor.index, mapped.hunks) not in done and (ANYWHERE, mapped.hunks) not in done:
                yield from _patterns(edit, anchor, mapped, policy, names, costs.LEVEL * level)
    if enough():
        return
    for anchor, mapped in placed:
        if anchor.children:
            yield from _literal(edit, anchor, mapped)
    yield from insertions.insertions(edit, number)
    if not enough():
        yield from runs.runs(edit, number, names)


def anchors(edit: Edit, number: int) -> list[Node]:
    """The smallest named nodes around a hunk at any of its possible positions."""
    hunk, (low, high) = edit.hunks[number], edit.slides[number]
    found: dict[tuple[int, int, str], Node] = {}
    for shift in sorted({0, low, high}):
        around = edit.pre.covering(hunk.a0 + shift, hunk.a1 + shift)
        for node in takewhile(lambda node: node.size <= MAX_ANCHOR_CHARS, around):
            if node.named and node.size and node.kind not in grammars.ROOTS:
                found.setdefault((node.start, node.end, node.kind), node)
    return sorted(found.values(), key=lambda node: (node.size, -node.index))[:MAX_ANCHORS]


def _well_formed(edit: Edit, anchor: Node, mapped: Mapped) -> bool:
    """Whether the new text of an anchor is made of whole nodes, so that it makes a fix."""
    start, end = edit.post.stripped(mapped.start, mapped.end)
    if start == end:
        return False
    became = edit.post.siblings_spanning(start, end)
    if len(became) > 1:
        named = became[0].named or became[-1].named
        above, now = anchor.parent, became[0].parent
        return named and above is not None and now is not None and above.kind == now.kind
    return bool(became) or _is_chain(edit, anchor, start, end)


def _is_chain(edit: Edit, anchor: Node, start: int, end: int) -> bool:
    """Whether the anchor stays and gets whole links after it, as in a chain of calls."""
    text = edit.post.text[start:end]
    own = edit.pre.text_of(anchor)
    if not edit.post.is_edge_to_edge(start, end):
        return False
    if anchor.parent is not None and "string" in anchor.parent.kind:
        return False
    more = text[len(own) :].lstrip()
    return (
        text.startswith(own)
        and more[:1] in LINKS
        and all(more.count(left) == more.count(right) for left, right in ("()", "[]", "{}"))
    )


def _several(edit: Edit, mapped: Mapped) -> bool:
    """Whether an anchor becomes several nodes."""
    start, end = edit.post.stripped(mapped.start, mapped.end)
    return len(edit.post.siblings_spanning(start, end)) > 1


def _patterns(
    edit: Edit, anchor: Node, mapped: Mapped, policy: Policy, names: frozenset[str], level_cost: float
) -> Iterator[Candidate]:
    """A pattern for an anchor under one policy; large variables are given up until it parses."""
    if not parses_as(edit.pre.text_of(anchor), anchor.kind, edit.pre.language):
        return
    forbidden: frozenset[int] = frozenset()
    for _ in range(4):
        lifted = lift(edit, [anchor], mapped, policy, names, forbidden)
        if lifted is None or not lifted.holes:
            return
        if lifted.pattern.strip() == lifted.holes[0].ref:
            return
        matcher = selector_rule(
            lifted.pattern, anchor.kind, edit.pre.language, edit.pre.text_of(anchor), _several(edit, mapped)
        )
        if matcher is not None:
            extra = (
                level_cost
                + policy.cost
                + (costs.WRAPPED if is_wrapped(matcher) else 0.0)
                + (costs.COPIED if _copies(edit.pre, lifted) else 0.0)
            )
            yield Candidate(
                {"rule": matcher, "fix": lifted.fix}, "pattern", anchor, anchor.kind, mapped.hunks,
                extra, lifted,
            )  # fmt: skip
            return
        largest = sorted((h for h in lifted.holes if not h.moved), key=lambda h: h.start - h.end)
        largest = largest[: max(1, len(largest) // 3)]
        forbidden |= {n.index for h in largest for n in edit.pre.at(h.start, h.end)}
        for hole in (h for h in largest if h.multi):
            nodes = edit.pre.covering(hole.start, hole.start)
            forbidden |= {node.index for node in nodes if node.start == hole.start}


def _copies(tree: Tree, lifted: Lifted) -> bool:
    """Whether the fix repeats words of what a dropped variable stands for: then it fits this place only."""
    dropped = [hole for hole in lifted.holes if hole.ref not in lifted.fix]
    if not dropped:
        return False
    gone = {word for hole in dropped for word in _WORD.findall(tree.text[hole.start : hole.end])}
    return len(gone & set(_WORD.findall(lifted.fix)) - set(_WORD.findall(lifted.pattern))) > 1


def _literal(edit: Edit, anchor: Node, mapped: Mapped) -> Iterator[Candidate]:
    """The anchor's text as it is: as a pattern or, where none parses, by kind and regular expression."""
    text, became = edit.pre.text_of(anchor), edit.post.text[mapped.start : mapped.end]
    if VARIABLE_LIKE.search(became):
        return
    indent = leading_spaces(edit.pre, anchor.start)
    fix = dedent(became, indent)
    if fix is None:
        return
    shape: Shape = "lexical" if len(text) <= LEXICAL_CHARS and "\n" not in text else "literal"
    pattern = dedent(text, indent) or text
    matcher = None
    if not VARIABLE_LIKE.search(text):
        matcher = selector_rule(pattern, anchor.kind, edit.pre.language, strict=_several(edit, mapped))
    wrapped = matcher is not None and isinstance(matcher["pattern"], dict)
    if matcher is not None and (anchor.children or not wrapped):
        yield Candidate({"rule": matcher, "fix": fix}, shape, anchor, anchor.kind, mapped.hunks)
    if matcher is None or not anchor.children or (wrapped and len(text) <= SHORT_CHARS):
        regex = {"kind": anchor.kind, "regex": f"^{regex_escape(text)}$"}
        yield Candidate({"rule": regex, "fix": fix}, shape, anchor, anchor.kind, mapped.hunks, costs.BY_REGEX)
