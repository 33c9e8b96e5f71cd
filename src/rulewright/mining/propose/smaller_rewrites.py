"""Rewrite less: forms of a rule that keep more blanks and comments as they are written.

A fix writes again what lies between the variables of a pattern: `os .old()` would become `os.new()`.
If one token changes, the rule can match that token in its place. If the whole match stays, one variable
can hold it. If a list changes its brackets, a substring can hold what is between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rulewright.actions import visit
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.propose.naming import by_text
from rulewright.mining.rules.reading import fix_around
from rulewright.mining.text.align import Edit
from rulewright.mining.text.lift import VARIABLE_LIKE, Hole, Lifted
from rulewright.mining.text.tree import OPENERS, Node

_WORD: Final = re.compile(r"\w")
WHOLE: Final = "W"
"""The variable for the whole match."""
LISTED: Final = "L"
"""The variable for a list with its brackets."""
INNER: Final = "IN"
"""The variable for what is between these brackets."""


def smaller_rewrites(edit: Edit, candidate: Candidate) -> Iterator[Candidate]:
    """The forms of a pattern candidate that rewrite less of what they match."""
    rule, lifted = candidate.rule, candidate.lifted
    if candidate.shape != "pattern" or lifted is None or len(lifted.anchors) != 1:
        return
    if not isinstance(rule["fix"], str) or "transform" in rule or "pattern" not in rule["rule"]:
        return
    yield from _token(edit, candidate, lifted.anchors[0])
    yield from _whole(candidate, lifted)
    yield from _inner(edit, candidate, lifted)


def _token(edit: Edit, candidate: Candidate, anchor: Node) -> Iterator[Candidate]:
    """The form that matches the one token that changes, within the pattern."""
    hunks = [edit.hunks[number] for number in candidate.hunks]
    end = max(h.a1 for h in hunks)
    leaves = (c for c in anchor.children if c.named and c.size and not c.children)
    leaf = next((c for c in leaves if end <= c.end), None)
    places = edit.map_range(leaf.start, leaf.end) if leaf is not None else []
    mapped = next((place for place in places if place.hunks == candidate.hunks), None)
    if leaf is None or mapped is None or not leaf.field():
        return
    new = edit.post.text[mapped.start : mapped.end]
    if "\n" in new or not new.strip() or VARIABLE_LIKE.search(new):
        return
    rule = {**candidate.rule, "rule": {**by_text(edit.pre, leaf), "inside": _around(candidate, leaf)}}
    rule["fix"] = new
    yield _form(candidate, rule=rule, shape="lexical", anchor=leaf, kind=leaf.kind, lifted=None)


def _around(candidate: Candidate, leaf: Node) -> dict[str, Any]:
    """The relation of a token to its parent: by field and kind, or by the pattern if that has more words."""
    role = {"field": leaf.field()}
    others = candidate.words - {leaf.sg.text()}
    plain = set(candidate.rule) == {"rule", "fix"} and set(candidate.rule["rule"]) == {"pattern"}
    if plain and leaf.parent is not None and not any(map(_WORD.match, others)):
        return {"kind": leaf.parent.kind, **role}
    return {**candidate.rule["rule"], **role}


def _whole(candidate: Candidate, lifted: Lifted) -> Iterator[Candidate]:
    """The form with one variable for the whole match, if the fix only puts something around it."""
    around = fix_around(lifted.pattern, candidate.rule["fix"], f"${WHOLE}")
    if around is None or f"${WHOLE}" in lifted.pattern:
        return
    used = visit.variables(around) | {f"${name}" for name in candidate.rule.get("constraints", {})}
    matcher = _unnamed(candidate.rule["rule"], used)
    rule = {**candidate.rule, "rule": {"all": [{"pattern": f"${WHOLE}"}, matcher]}, "fix": around}
    yield _form(candidate, rule=rule, lifted=None)


def _unnamed(matcher: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """The matcher with `$_` for variables that occur once and are not `used`."""
    text, selector = visit.pattern_parts(matcher["pattern"])
    names = visit.VARIABLE.findall(text)

    def bare(found: re.Match[str]) -> str:
        name = found.group()
        if name in used or names.count(name) > 1:
            return name
        return "$$$" if name.startswith("$$$") else "$_"

    text = visit.VARIABLE.sub(bare, text)
    return {**matcher, "pattern": {"context": text, "selector": selector} if selector else text}


def _inner(edit: Edit, candidate: Candidate, lifted: Lifted) -> Iterator[Candidate]:
    """The form with one variable for a bracketed list, and a substring for what is between its brackets."""
    for hole in lifted.holes:
        list_node = _list_of(edit, hole)
        pattern, fix = candidate.rule["rule"]["pattern"], candidate.rule["fix"]
        if list_node is None or list_node is lifted.anchors[0] or not isinstance(pattern, str):
            continue
        opened, closed = (re.escape(edit.pre.text[at]) for at in (list_node.start, list_node.end - 1))
        # Arguments are no expression by themselves: nothing can stand for them in a pattern.
        spelled = re.compile(rf"(?<![\w)\]]){opened}\s*{re.escape(hole.ref)},?\s*{closed}")
        if len(spelled.findall(pattern)) != 1 or fix.count(hole.ref) != 1 or f"${LISTED}" in pattern:
            continue
        rule = {
            "rule": {**candidate.rule["rule"], "pattern": spelled.sub(f"${LISTED}", pattern)},
            "constraints": {**candidate.rule.get("constraints", {}), LISTED: {"kind": list_node.kind}},
            "transform": {INNER: {"substring": {"source": f"${LISTED}", "startChar": 1, "endChar": -1}}},
            "fix": fix.replace(hole.ref, f"${INNER}"),
        }  # fmt: skip
        yield _form(candidate, rule=rule, lifted=None)


def _list_of(edit: Edit, hole: Hole) -> Node | None:
    """The bracketed list whose items a variable holds; `None` if there is none."""
    if not hole.multi:
        return None
    text = edit.pre.text
    for node in edit.pre.covering(hole.start, hole.end):
        if node.named and node.start < hole.start and node.end > hole.end and text[node.start] in OPENERS:
            before, after = text[node.start + 1 : hole.start], text[hole.end : node.end - 1]
            return node if not before.strip() and after.strip() in ("", ",") else None
    return None


def _form(candidate: Candidate, **changes: Any) -> Candidate:
    """Another form of a candidate, a little cheaper."""
    return replace(candidate, **changes).priced_as(candidate, costs.SMALLER_REWRITE)
