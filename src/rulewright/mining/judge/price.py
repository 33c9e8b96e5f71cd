"""Adjust the cost of a candidate to its place in the edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rulewright import grammars
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.rules import callees
from rulewright.mining.text.align import Edit
from rulewright.mining.text.tree import Node


def priced(edit: Edit, candidate: Candidate, quoted: frozenset[str]) -> Iterator[Candidate]:
    """The candidate at its cost in this place; for a called name, first a form that asks for the call.

    An owner of the name that the instruction quotes stays literal.
    """
    # Whether the whole name changes.
    renamed = candidate.is_token and is_called(candidate.anchor) and isinstance(candidate.rule["fix"], str)
    anchor = candidate.anchor.sg
    called = callees.call_relation(anchor, edit.pre.text, edit.pre.language, quoted) if renamed else None
    # After a type or module a pattern says the same, and reads better.
    if called is not None and "has" not in called and "inside" not in candidate.rule["rule"]:
        rule = {**candidate.rule, "rule": {**candidate.rule["rule"], "inside": called}}
        yield replace(candidate, rule=rule, extra_cost=candidate.extra_cost + costs.BY_CALL)
    yield _adjusted(edit, candidate)


def _adjusted(edit: Edit, candidate: Candidate) -> Candidate:
    """A lower cost for a specific expression that is mostly replaced, a higher one for parts of calls."""
    if (candidate.is_token or candidate.shape == "transform") and is_called(candidate.anchor):
        return replace(candidate, extra_cost=candidate.extra_cost + costs.CALLED)
    holes = candidate.lifted.holes if candidate.lifted is not None else ()
    open_parts = (node for hole in holes for node in edit.pre.at(hole.start, hole.end))
    if is_module_path(candidate.anchor) or any(map(is_module_path, open_parts)):
        # One word of it says still less.
        more = costs.NO_NAME * (2 if candidate.is_token else 1)
        return replace(candidate, extra_cost=candidate.extra_cost + more)
    if candidate.kind in grammars.CALL_PARTS:
        return replace(candidate, extra_cost=candidate.extra_cost + costs.NO_CALL)
    if candidate.shape != "lexical" or candidate.is_token or candidate.bits < costs.ENOUGH_BITS:
        return candidate
    changed = sum(edit.hunks[i].a1 - edit.hunks[i].a0 for i in candidate.hunks)
    if 2 * changed < candidate.anchor.size:
        return candidate
    return replace(candidate, extra_cost=candidate.extra_cost + costs.MOSTLY_REPLACED)


def is_module_path(node: Node) -> bool:
    """Whether a node is the module that an import names beside names of it, or a part of a module's path."""
    is_part = node.parent is not None and node.parent.kind == "dotted_name" and len(node.parent.children) > 1
    return is_part or any(one.field() == "module_name" for one in (node, *node.ancestors()))


def is_called(node: Node) -> bool:
    """Whether a name is what a call calls, alone or after its qualifier (`a.name()`, `A::name()`).

    A capitalized name without a qualifier does not count: it is a class, which is also used elsewhere.
    """
    called = callees.call_relation(node.sg, "", node.tree.language)
    is_bare = called is not None and "inside" not in called and node.slot == 0
    return called is not None and not (is_bare and node.sg.text()[:1].isupper())
