"""Rewrite neighboring nodes that change together as one (shapes `sequence` and `run`).

The rule matches one of them, and `expandStart` or `expandEnd` covers the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rulewright.actions import visit
from rulewright.actions.visit import regex_escape
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.propose.naming import MAX_HEAD, by_text
from rulewright.mining.rules.reading import old_text, words_of
from rulewright.mining.text.align import Edit
from rulewright.mining.text.lift import GENERAL, TIGHT, VARIABLE_LIKE, Lifted, lift
from rulewright.mining.text.snippets import selector_rule
from rulewright.mining.text.tree import Node

MAX_RUN: Final = 12
MAX_RUN_CHARS: Final = 1_500
MAX_CHANGED_CHARS: Final = 4_000
"""Most characters of the siblings that change."""


def runs(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """Rules for the siblings around a hunk: match the first, expand to the last."""
    hunk = edit.hunks[number]
    ranges = [(hunk.a0, hunk.a1)]
    if len(edit.hunks) > 1 and number == 0:
        ranges.append((edit.hunks[0].a0, edit.hunks[-1].a1))
    for start, end in ranges:
        level = 0
        for parent in edit.pre.covering(start, end):
            run = _touched(parent, start, end)
            if run is None or level >= 3:
                continue
            level += 1
            for nodes in run:
                yield from _run(edit, nodes, names, number)


def _touched(parent: Node, start: int, end: int) -> list[list[Node]] | None:
    """Runs of children that a range touches, also with one neighbor more; `None` if there are none."""
    inner = [c for c in parent.children if c.size]
    touched = [i for i, c in enumerate(inner) if c.start < end and c.end > start]
    if not touched:
        before = [i for i, c in enumerate(inner) if c.end <= start]
        after = [i for i, c in enumerate(inner) if c.start >= end]
        if not before or not after:
            return None
        first, last = before[-1], after[0]
        return [inner[first : last + 1]]
    first, last = touched[0], touched[-1]
    wide = [inner[first : last + 1]] if last > first else []
    if first > 0:
        wide.append(inner[first - 1 : last + 1])
    if last + 1 < len(inner):
        wide.append(inner[first : last + 2])
    return wide


def _run(edit: Edit, nodes: list[Node], names: frozenset[str], number: int) -> Iterator[Candidate]:
    """Rules for one run of siblings."""
    lead = nodes[0] if not nodes[0].named and len(nodes) == 2 else None
    first, last = nodes[1 if lead else 0], nodes[-1]
    if not 2 <= len(nodes) <= MAX_RUN or not first.named:
        return
    changed = sum(node.size for node in nodes if edit.touches(node.start, node.end))
    if changed > MAX_CHANGED_CHARS:
        return
    for mapped in edit.map_range(nodes[0].start, last.end):
        if number not in mapped.hunks or mapped.start == mapped.end:
            continue
        ways = {policy: lift(edit, nodes, mapped, policy, names) for policy in (GENERAL, TIGHT)}
        for policy, heads in ((GENERAL, False), (GENERAL, True), (TIGHT, True)):
            lifted = ways[policy]
            if lifted is None or sum(map(len, lifted.patterns)) > MAX_RUN_CHARS:
                continue
            matchers = [_sibling(edit, n, p, heads) for n, p in zip(nodes, lifted.patterns, strict=True)]
            if lead is not None:
                rule = {**matchers[1], "follows": matchers[0]}
                fix: dict[str, Any] = {"template": lifted.fix, "expandStart": matchers[0]}
            else:
                rule = dict(matchers[-1])
                for matcher in matchers[-2::-1]:
                    rule = {**matcher, "precedes": rule}
                fix = {"template": lifted.fix, "expandEnd": _last_of(edit, nodes, matchers[-1])}
            if not visit.bound({"pattern": lifted.fix}) <= visit.bound(rule):
                continue
            yield Candidate(
                {"rule": rule, "fix": fix},
                "sequence" if all(map(_is_general, matchers)) and _keeps_names(edit, lifted) else "run",
                first,
                first.kind,
                mapped.hunks,
                costs.SIBLING * max(0, len(nodes) - 2),
                lifted,
            )


def _keeps_names(edit: Edit, lifted: Lifted) -> bool:
    """Whether no name is a variable in one sibling and literal in another."""
    words = {word for pattern in lifted.patterns for word in words_of(pattern)}
    return not any(edit.pre.text[hole.start : hole.end] in words for hole in lifted.holes)


def _is_general(matcher: dict[str, Any]) -> bool:
    """Whether the matcher of a sibling is a pattern with variables and words."""
    text = old_text({"rule": matcher})
    return "regex" not in matcher and bool(visit.variables(text)) and bool(words_of(text))


def _last_of(edit: Edit, nodes: list[Node], matcher: dict[str, Any]) -> dict[str, Any]:
    """The matcher by which the expansion finds the last sibling; it must not have variables."""
    last = nodes[-1]
    near = {} if len(nodes) == 2 else {"stopBy": "end"}
    if "$" not in str(matcher.get("pattern", "")):
        return {**matcher, **near}
    if all(n.kind != last.kind for n in nodes[1:-1]):
        return {"kind": last.kind, **near}
    head = edit.pre.text_of(last).split("\n")[0][:80]
    return {"kind": last.kind, "regex": f"^{regex_escape(head)}", **near}


def final_newline(edit: Edit, number: int) -> Iterator[Candidate]:
    """A rule that adds blanks at the end of the file, after its last node."""
    hunk, text, root = edit.hunks[number], edit.pre.text, edit.pre.root
    nodes = [n for n in root.children if n.named and n.size]
    if hunk.a1 != len(text) or not nodes or text[nodes[-1].end : hunk.a0].strip():
        return
    last = nodes[-1]
    old, new = text[last.end :], text[last.end : hunk.a0] + edit.post.text[hunk.b0 : hunk.b1]
    if old.strip() or new.strip() or not new.startswith(old):
        return
    matcher = {
        "kind": last.kind, "pattern": "$T", "inside": {"kind": root.kind},
        "nthChild": {"position": 1, "reverse": True},
    }  # fmt: skip
    rule = {"rule": matcher, "fix": "$T" + new[len(old) :]}
    yield Candidate(rule, "pattern", last, last.kind, frozenset((number,)))


def _sibling(edit: Edit, node: Node, pattern: str, head: bool) -> dict[str, Any]:
    """The matcher for one sibling; with `head`, for an unchanged one by its first line too."""
    text = edit.pre.text_of(node)
    if not node.named:
        return {"regex": f"^{regex_escape(text)}$"}
    if not VARIABLE_LIKE.search(text):
        matcher = selector_rule(pattern, node.kind, edit.pre.language, strict=True)
        if matcher is not None:
            if head and "kind" in matcher and "regex" not in matcher:
                line, *more = text.split("\n")
                whole = "" if more or len(line) > MAX_HEAD else "$"
                return {**matcher, "regex": f"^{regex_escape(line[:MAX_HEAD])}{whole}"}
            return matcher
    return by_text(edit.pre, node)
