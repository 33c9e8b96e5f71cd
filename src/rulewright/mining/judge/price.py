"""What a candidate costs more or less once its place in the edit is seen."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from rulewright import grammars
from rulewright.mining import costs
from rulewright.mining.candidate import Candidate
from rulewright.mining.text.align import Edit
from rulewright.mining.text.tree import Node


def in_place(edit: Edit, candidate: Candidate) -> Candidate:
    """Like a telling expression that is mostly replaced, dislike what only its call tells apart."""
    if (candidate.is_token or candidate.shape == "transform") and is_called(candidate.anchor):
        return replace(candidate, extra_cost=candidate.extra_cost + costs.CALLED)
    if candidate.kind in grammars.CALL_PARTS:
        return replace(candidate, extra_cost=candidate.extra_cost + costs.NO_CALL)
    if candidate.shape != "lexical" or candidate.is_token or candidate.bits < costs.ENOUGH_BITS:
        return candidate
    changed = sum(edit.hunks[i].a1 - edit.hunks[i].a0 for i in candidate.hunks)
    if 2 * changed < candidate.anchor.size:
        return candidate
    return replace(candidate, extra_cost=candidate.extra_cost + costs.MOSTLY_REPLACED)


def is_called(node: Node) -> bool:
    """Whether a name says what a call calls, by itself or behind its qualifier (`a.name()`, `A::name()`).

    A capital letter without a qualifier names a class, which is more than what is called. Blanks where
    nobody puts any would become part of a rule for the whole call: then the name alone is better.
    """
    parent = node.parent
    if parent is None or node.children:
        return False
    if grammars.CALL.search(parent.kind):
        is_bare = parent.children[0] is node
        if _is_oddly_spaced(parent, node):
            return False
        return node.role() in ("function", "name", "method", "macro") and not (
            is_bare and node.sg.text()[:1].isupper()
        )
    while (
        parent.parent is not None
        and parent.parent.kind in grammars.MEMBERS
        and parent.end == parent.parent.end
    ):
        parent = parent.parent
    if parent.kind not in grammars.MEMBERS or node.siblings_after() or parent.parent is None:
        return False
    if _is_oddly_spaced(parent.parent, node):
        return False
    return grammars.CALL.search(parent.parent.kind) is not None and parent.role() == "function"


_ODD: Final = re.compile(r"\S[ \t]+\.|\.[ \t]|\S[ \t]+\($|\([ \t]+\)|\([ \t]{2}")


def _is_oddly_spaced(call: Node, name: Node) -> bool:
    """Whether blanks stand around the dot or the parentheses of a call: `a .f( )`."""
    text, end = call.sg.text(), name.end - call.start
    opened = text.find("(", end) + 1
    return any(_ODD.search(part) for part in (text[:opened], text[max(0, opened - 1) : opened + 3]))
