"""Deletions, insertions and changes that reach over neighbouring nodes.

What goes together with a gap or a separator is rewritten as a stretch: one node is matched,
`expandStart` or `expandEnd` reaches to its neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rulewright.mining.align import Edit, Mapped
from rulewright.mining.candidate import Candidate, regex_escape
from rulewright.mining.contexts import selector_rule
from rulewright.mining.insertions import by_name
from rulewright.mining.lift import FORGED_HOLE, GENERAL, TIGHT, dedent, leading_spaces, lift, stripped
from rulewright.mining.tree import Node

MAX_RUN: Final = 12
MAX_GONE: Final = 12
MAX_RUN_CHARS: Final = 1_500
MAX_CHANGED_CHARS: Final = 4_000
"""Characters of the siblings that change."""
MAX_HEAD: Final = 80
"""Characters of a first line by which an unchanged sibling is told from others."""


def deletions(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """A node goes, with the gap to its neighbour: the rewrite expands over the neighbour."""
    hunk = edit.hunks[number]
    if edit.post.text[hunk.b0 : hunk.b1].strip():
        return
    start, end = stripped(edit.pre.text, hunk.a0, hunk.a1)
    gone = [n for n in edit.pre.siblings_spanning(start, end) if n.size]
    if not gone:
        return
    named = [n for n in gone if n.named]
    if not 1 <= len(named) <= MAX_GONE or any(edit.pre.text_of(n) not in ",;" for n in gone if not n.named):
        return
    after, before = gone[-1].siblings_after(), gone[0].siblings_before()
    if len(named) == 1:
        node = named[0]
        for extra in (n for n in gone if n is not node):
            side = "expandEnd" if extra.slot > node.slot else "expandStart"
            yield from _delete_comma(edit, node, extra, number, side, names)
    for others, side in ((before, "expandStart"), (after, "expandEnd")):
        other = next((n for n in others if n.size), None)
        if other is None:
            continue
        if len(gone) == 1:
            yield from _delete_over(edit, named[0], other, number, side, names)
        elif gone[0].named and gone[-1].named:
            yield from _delete_several(edit, gone, other, number, side)


def _delete_several(edit: Edit, gone: list[Node], other: Node, number: int, side: str) -> Iterator[Candidate]:
    """Match the node next to a neighbour, reach over that and to the last that goes."""
    relation = "follows" if side == "expandStart" else "precedes"
    node, last = (gone[0], gone[-1]) if side == "expandStart" else (gone[-1], gone[0])
    far = "expandEnd" if side == "expandStart" else "expandStart"
    what = {"kind": other.kind} if other.named else _by_text(edit, other)
    template = "$Z" if other.named else edit.pre.text_of(other)
    seen = {"pattern": "$Z", **what} if other.named else what
    reach = {**_brief(edit, last), **({} if len(gone) == 2 else {"stopBy": "end"})}
    rule = {**_brief(edit, node), relation: seen}
    fix = {"template": template, side: what, far: reach}
    n_vars = int(other.named)
    yield Candidate({"rule": rule, "fix": fix}, "delete", node, node.kind, frozenset((number,)), n_vars, 0.8)


def _brief(edit: Edit, node: Node) -> dict[str, Any]:
    """A node by its text, or if that is long by its name or first line."""
    text = edit.pre.text_of(node)
    if len(text) <= MAX_HEAD and "\n" not in text:
        return _by_text(edit, node)
    return next(by_name(edit.pre, node), {"kind": node.kind})


def _node_matchers(edit: Edit, node: Node, names: frozenset[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """Ways to say which node: by a pattern with variables, then by its text."""
    still = Edit(edit.pre, edit.pre, ())
    place = Mapped(node.start, node.end, frozenset())
    for policy in (GENERAL, TIGHT):
        lifted = lift(still, [node], place, policy, names)
        if lifted is not None and lifted.holes:
            matcher = selector_rule(lifted.pattern, node.kind, edit.pre.language, strict=True)
            if matcher is not None:
                yield matcher, lifted.n_vars
    yield _by_text(edit, node), 0


def _by_text(edit: Edit, node: Node) -> dict[str, Any]:
    text = edit.pre.text_of(node)
    if node.named and not FORGED_HOLE.search(text):
        pattern = dedent(text, leading_spaces(edit.pre, node.start)) or text
        matcher = selector_rule(pattern, node.kind, edit.pre.language, strict=True)
        if matcher is not None:
            return matcher
    return {"kind": node.kind, "regex": f"^{regex_escape(text)}$"}


def _delete_comma(
    edit: Edit, node: Node, comma: Node, number: int, side: str, names: frozenset[str]
) -> Iterator[Candidate]:
    token = {"regex": f"^{regex_escape(edit.pre.text_of(comma))}$"}
    for matcher, n_vars in _node_matchers(edit, node, names):
        rule = {"rule": matcher, "fix": {"template": "", side: token}}
        yield Candidate(rule, "delete", node, node.kind, frozenset((number,)), n_vars)


def _delete_over(
    edit: Edit, node: Node, other: Node, number: int, side: str, names: frozenset[str]
) -> Iterator[Candidate]:
    """Rewrite a neighbour to itself, and so remove what lies between as well."""
    relation = "follows" if side == "expandStart" else "precedes"
    near = abs(other.slot - node.slot) == 1
    reach: dict[str, Any] = {} if near else {"stopBy": "end"}
    for matcher, n_vars in _node_matchers(edit, node, names):
        if other.named:
            what: dict[str, Any] = {"kind": other.kind, **reach}
            rule = {**matcher, relation: {"pattern": "$Z", **what}}
            template = "$Z"
        else:
            what = {"regex": f"^{regex_escape(edit.pre.text_of(other))}$", **reach}
            rule = {**matcher, relation: what}
            template = edit.pre.text_of(other)
        fix = {"template": template, side: what}
        yield Candidate(
            {"rule": rule, "fix": fix},
            "delete",
            node,
            node.kind,
            frozenset((number,)),
            n_vars + other.named,
            0.5,
        )


def runs(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """Neighbouring siblings that change together: match the first, expand to the last."""
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
    """The children that a range touches, with one neighbour on a side where that is needed."""
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
            if sum(len(str(matcher)) for matcher in matchers) > 2 * MAX_RUN_CHARS:
                continue
            if lead is not None:
                rule = {**matchers[1], "follows": matchers[0]}
                fix: dict[str, Any] = {"template": lifted.fix, "expandStart": matchers[0]}
            else:
                rule = dict(matchers[-1])
                for matcher in matchers[-2::-1]:
                    rule = {**matcher, "precedes": rule}
                fix = {"template": lifted.fix, "expandEnd": _last_of(edit, nodes, matchers[-1])}
            yield Candidate(
                {"rule": rule, "fix": fix},
                "run",
                first,
                first.kind,
                mapped.hunks,
                lifted.n_vars,
                0.0,
                lifted,
            )


def _last_of(edit: Edit, nodes: list[Node], matcher: dict[str, Any]) -> dict[str, Any]:
    """How the expansion finds the last sibling of a run; no variables are allowed there."""
    last = nodes[-1]
    near = {} if len(nodes) == 2 else {"stopBy": "end"}
    if "$" not in str(matcher.get("pattern", "")):
        return {**matcher, **near}
    if all(n.kind != last.kind for n in nodes[1:-1]):
        return {"kind": last.kind, **near}
    head = edit.pre.text_of(last).split("\n")[0][:80]
    return {"kind": last.kind, "regex": f"^{regex_escape(head)}", **near}


def final_newline(edit: Edit, number: int) -> Iterator[Candidate]:
    """A newline at the end of the file, added or taken away, through the last node."""
    hunk, text, root = edit.hunks[number], edit.pre.text, edit.pre.root
    nodes = [n for n in root.children if n.named and n.size]
    if hunk.a1 != len(text) or not nodes or text[nodes[-1].end : hunk.a0].strip():
        return
    last = nodes[-1]
    old, new = text[last.end :], text[last.end : hunk.a0] + edit.post.text[hunk.b0 : hunk.b1]
    if old.strip() or new.strip():
        return
    matcher = {
        "kind": last.kind, "pattern": "$T", "inside": {"kind": root.kind},
        "nthChild": {"position": 1, "reverse": True},
    }  # fmt: skip
    fix: Any = "$T" + new[len(old) :] if new.startswith(old) else None
    if fix is None and last.siblings_after():
        fix = {"template": "$T" + new, "expandEnd": {"regex": r"^\s*$"}}
    if fix is not None:
        yield Candidate({"rule": matcher, "fix": fix}, "pattern", last, last.kind, frozenset((number,)), 1)


def _sibling(edit: Edit, node: Node, pattern: str, head: bool = False) -> dict[str, Any]:
    """How one sibling of a run is matched; with `head`, an unchanged one by its first line too."""
    text = edit.pre.text_of(node)
    if not node.named:
        return {"regex": f"^{regex_escape(text)}$"}
    if not FORGED_HOLE.search(text):
        matcher = selector_rule(pattern, node.kind, edit.pre.language, strict=True)
        if matcher is not None:
            if head and "kind" in matcher and "regex" not in matcher:
                line, *more = text.split("\n")
                whole = "" if more or len(line) > MAX_HEAD else "$"
                return {**matcher, "regex": f"^{regex_escape(line[:MAX_HEAD])}{whole}"}
            return matcher
    return _by_text(edit, node)
