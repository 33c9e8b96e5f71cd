"""What a candidate costs more or less once its place in the edit is seen."""

from __future__ import annotations

from dataclasses import replace

from rulewright import grammars
from rulewright.mining import costs
from rulewright.mining.candidate import Candidate
from rulewright.mining.text.align import Edit
from rulewright.mining.text.tree import Node


def in_place(edit: Edit, candidate: Candidate) -> Candidate:
    """Like a telling expression that is mostly replaced, dislike what only its call tells apart."""
    if (candidate.is_token or candidate.shape == "transform") and is_called(candidate.anchor):
        return replace(candidate, extra_cost=candidate.extra_cost + costs.CALLED)
    if candidate.kind in ("argument_list", "arguments"):
        return replace(candidate, extra_cost=candidate.extra_cost + costs.NO_CALL)
    if candidate.shape != "lexical" or candidate.is_token or candidate.bits < costs.ENOUGH_BITS:
        return candidate
    changed = sum(edit.hunks[i].a1 - edit.hunks[i].a0 for i in candidate.hunks)
    if 2 * changed < candidate.anchor.size:
        return candidate
    return replace(candidate, extra_cost=candidate.extra_cost + costs.MOSTLY_REPLACED)


def is_called(node: Node) -> bool:
    """Whether a name says what a call calls, by itself or behind its qualifier (`a.name()`, `A::name()`).

    A capital letter without a qualifier names a class, which is more than what is called.
    """
    parent = node.parent
    if parent is None or node.children:
        return False
    if grammars.CALL.search(parent.kind):
        is_bare = parent.children[0] is node
        return node.field() in ("function", "name", "macro") and not (
            is_bare and node.sg.text()[:1].isupper()
        )
    if parent.kind not in grammars.MEMBERS or node.siblings_after() or parent.parent is None:
        return False
    return grammars.CALL.search(parent.parent.kind) is not None and parent.field() == "function"
