"""A rule that was found, said so that it rewrites less: blanks and comments stay as they are written.

A pattern spells out what lies between its variables, and the fix writes it anew: `os .old()` would
become `os.new()`. Where one token changes, the rule can match the token in its place; where all that
is matched stays whole, one variable can hold it; where a list changes its brackets, what is between
them can be cut out. Nothing is judged here.
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
"""The variable that holds all that is matched."""
LISTED: Final = "L"
"""The variable that holds a list with its brackets."""
INNER: Final = "IN"
"""What is between the brackets of it."""


def as_written(edit: Edit, candidate: Candidate) -> Iterator[Candidate]:
    """A pattern with a fix, maybe narrowed, in forms that leave more of what they match as it is."""
    rule, lifted = candidate.rule, candidate.lifted
    if candidate.shape != "pattern" or lifted is None or len(lifted.anchors) != 1:
        return
    if not isinstance(rule["fix"], str) or "transform" in rule or "pattern" not in rule["rule"]:
        return
    yield from _token(edit, candidate, lifted.anchors[0])
    yield from _whole(candidate, lifted)
    yield from _inner(edit, candidate, lifted)


def _token(edit: Edit, candidate: Candidate, anchor: Node) -> Iterator[Candidate]:
    """The one token that changes, inside of what the pattern matches."""
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
    """The place of a token: by its role, and by the whole pattern where that names more than the token."""
    role = {"field": leaf.field()}
    others = candidate.words - {leaf.sg.text()}
    plain = set(candidate.rule) == {"rule", "fix"} and set(candidate.rule["rule"]) == {"pattern"}
    if plain and leaf.parent is not None and not any(map(_WORD.match, others)):
        return {"kind": leaf.parent.kind, **role}
    return {**candidate.rule["rule"], **role}


def _whole(candidate: Candidate, lifted: Lifted) -> Iterator[Candidate]:
    """What is matched as one variable, where the fix only puts something around it."""
    around = fix_around(lifted.pattern, candidate.rule["fix"], f"${WHOLE}")
    if around is None or f"${WHOLE}" in lifted.pattern:
        return
    used = visit.variables(around) | {f"${name}" for name in candidate.rule.get("constraints", {})}
    matcher = _unnamed(candidate.rule["rule"], used)
    rule = {**candidate.rule, "rule": {"all": [{"pattern": f"${WHOLE}"}, matcher]}, "fix": around}
    yield _form(candidate, rule=rule, lifted=None)


def _unnamed(matcher: dict[str, Any], used: set[str]) -> dict[str, Any]:
    """The matcher without names for variables that stand once in it and nowhere else."""
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
    """A list with its brackets as one variable, and what is between them cut out of it."""
    for hole in lifted.holes:
        held = _list_of(edit, hole)
        pattern, fix = candidate.rule["rule"]["pattern"], candidate.rule["fix"]
        if held is None or held is lifted.anchors[0] or not isinstance(pattern, str):
            continue
        opened, closed = (re.escape(edit.pre.text[at]) for at in (held.start, held.end - 1))
        # Arguments are no expression by themselves: nothing can stand for them in a pattern.
        spelled = re.compile(rf"(?<![\w)\]]){opened}\s*{re.escape(hole.ref)},?\s*{closed}")
        if len(spelled.findall(pattern)) != 1 or fix.count(hole.ref) != 1 or f"${LISTED}" in pattern:
            continue
        rule = {
            "rule": {**candidate.rule["rule"], "pattern": spelled.sub(f"${LISTED}", pattern)},
            "constraints": {**candidate.rule.get("constraints", {}), LISTED: {"kind": held.kind}},
            "transform": {INNER: {"substring": {"source": f"${LISTED}", "startChar": 1, "endChar": -1}}},
            "fix": fix.replace(hole.ref, f"${INNER}"),
        }  # fmt: skip
        yield _form(candidate, rule=rule, lifted=None)


def _list_of(edit: Edit, hole: Hole) -> Node | None:
    """The bracketed list of which a variable holds all items."""
    if not hole.multi:
        return None
    text = edit.pre.text
    for node in edit.pre.covering(hole.start, hole.end):
        if node.named and node.start < hole.start and node.end > hole.end and text[node.start] in OPENERS:
            before, after = text[node.start + 1 : hole.start], text[hole.end : node.end - 1]
            return node if not before.strip() and after.strip() in ("", ",") else None
    return None


def _form(candidate: Candidate, **changes: Any) -> Candidate:
    """Another form at a little less: what it says is the same."""
    return replace(candidate, **changes).priced_as(candidate, costs.AS_WRITTEN)
