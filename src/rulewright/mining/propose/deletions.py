"""Remove a node: alone, with its comma, or with the gap to a neighbor.

To remove the gap too, the fix writes the neighbor again, and `expandStart` or `expandEnd` covers it.
What is removed keeps its names: another name would be another thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rulewright import grammars
from rulewright.actions.visit import regex_escape
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.propose.naming import MAX_HEAD, by_name, by_text
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import GENERAL, TIGHT, lift
from rulewright.mining.text.snippets import selector_rule
from rulewright.mining.text.tree import Node

MAX_GONE: Final = 12


def deletions(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """Rules that remove the nodes that a hunk removes, with the gap to a neighbor if that goes too."""
    hunk = edit.hunks[number]
    if edit.post.text[hunk.b0 : hunk.b1].strip():
        return
    start, end = edit.pre.stripped(hunk.a0, hunk.a1)
    gone = [n for n in edit.pre.siblings_spanning(start, end) if n.size]
    named = [n for n in gone if n.named]
    if not 1 <= len(named) <= MAX_GONE or any(edit.pre.text_of(n) not in ",;" for n in gone if not n.named):
        return
    after, before = gone[-1].siblings_after(), gone[0].siblings_before()
    if len(gone) == 1 and named[0].kind != grammars.ERROR:
        became = (m for m in edit.map_range(named[0].start, named[0].end) if number in m.hunks)
        if any(mapped.start == mapped.end for mapped in became):
            # Everything around the node stays: it leaves an empty line, or an empty file.
            for matcher, cost in _node_matchers(edit, named[0], names):
                yield _candidate(named[0], number, matcher, "", cost)
    if len(named) == 1:
        node = named[0]
        for extra in (n for n in gone if n is not node):
            side = "expandEnd" if extra.slot > node.slot else "expandStart"
            comma = {"regex": f"^{regex_escape(edit.pre.text_of(extra))}$"}
            for matcher, cost in _node_matchers(edit, node, names):
                yield _candidate(node, number, matcher, {"template": "", side: comma}, cost)
    for others, side in ((before, "expandStart"), (after, "expandEnd")):
        other = next((n for n in others if n.size), None)
        if other is None:
            continue
        if len(gone) == 1:
            yield from _delete_over(edit, named[0], other, number, side, names)
        elif gone[0].named and gone[-1].named:
            yield from _delete_several(edit, gone, other, number, side)


def _delete_several(edit: Edit, gone: list[Node], other: Node, number: int, side: str) -> Iterator[Candidate]:
    """Match the removed node next to a neighbor and expand over the neighbor and to the last removed node."""
    relation = "follows" if side == "expandStart" else "precedes"
    node, last = (gone[0], gone[-1]) if side == "expandStart" else (gone[-1], gone[0])
    far = "expandEnd" if side == "expandStart" else "expandStart"
    what = {"kind": other.kind} if other.named else by_text(edit.pre, other)
    template = "$Z" if other.named else edit.pre.text_of(other)
    seen = {"pattern": "$Z", **what} if other.named else what
    reach = {**_brief(edit, last), **({} if len(gone) == 2 else {"stopBy": "end"})}
    matcher = {**_brief(edit, node), relation: seen}
    yield _candidate(node, number, matcher, {"template": template, side: what, far: reach})


def _brief(edit: Edit, node: Node) -> dict[str, Any]:
    """A matcher for a node by its text, or if that is long, by its name or first line."""
    text = edit.pre.text_of(node)
    if len(text) <= MAX_HEAD and "\n" not in text:
        return by_text(edit.pre, node)
    return next(by_name(edit.pre, node), {"kind": node.kind})


def _node_matchers(edit: Edit, node: Node, names: frozenset[str]) -> Iterator[tuple[dict[str, Any], float]]:
    """Matchers for a removed node, by patterns with variables or by its text, each with its extra cost.

    Names that the node declares stay literal. In an import everything stays literal, except at an extra
    cost: one rule may remove several imports.
    """
    imports = grammars.IMPORT.search(node.kind) is not None
    doubt = costs.IMPORT_OPEN if imports else 0.0
    still = Edit(edit.pre, edit.pre, ())
    place = Mapped(node.start, node.end, frozenset())
    declared = frozenset() if imports else frozenset(name.index for name in _declared(node))
    for policy in (GENERAL, TIGHT):
        lifted = lift(still, [node], place, policy, names, declared)
        if lifted is not None and lifted.holes:
            matcher = selector_rule(lifted.pattern, node.kind, edit.pre.language, strict=True)
            if matcher is not None:
                yield matcher, doubt
    yield by_text(edit.pre, node), 0.0


def _declared(node: Node) -> Iterator[Node]:
    """The parts of a declaration that name what it declares."""
    for child in node.children:
        if child.named and child.field() in grammars.DECLARED_FIELDS:
            yield child
            yield from _declared(child)
        elif grammars.DECLARATOR.search(child.kind):
            yield from _declared(child)


def _delete_over(
    edit: Edit, node: Node, other: Node, number: int, side: str, names: frozenset[str]
) -> Iterator[Candidate]:
    """Remove a node with the gap to a neighbor, which the fix writes again."""
    relation = "follows" if side == "expandStart" else "precedes"
    near = abs(other.slot - node.slot) == 1
    for matcher, extra in _node_matchers(edit, node, names):
        for what in _neighbor(edit, other, near):
            seen = {"pattern": "$Z", **what} if other.named else what
            # `$Z` is the next node, so any node will do to expand over it.
            reach = {"regex": "."} if other.named and not what else what
            template = "$Z" if other.named else edit.pre.text_of(other)
            fix = {"template": template, side: reach}
            yield _candidate(node, number, {**matcher, relation: seen}, fix, costs.OVER_NEIGHBOR + extra)


def _candidate(
    node: Node, number: int, matcher: dict[str, Any], fix: str | dict[str, Any], cost: float = 0.0
) -> Candidate:
    rule = {"rule": matcher, "fix": fix}
    return Candidate(rule, "delete", node, node.kind, frozenset((number,)), cost)


def _neighbor(edit: Edit, other: Node, near: bool) -> Iterator[dict[str, Any]]:
    """Matchers for a neighbor, the most general first: its kind rarely matters."""
    reach: dict[str, Any] = {} if near else {"stopBy": "end"}
    if not other.named:
        yield {"regex": f"^{regex_escape(edit.pre.text_of(other))}$", **reach}
        return
    if near:
        yield {}
    yield {"kind": other.kind, **reach}
