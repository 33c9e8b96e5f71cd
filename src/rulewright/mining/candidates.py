"""Candidate rules for the hunks of an edit, one operator each.

A candidate is a guess: a rule that should turn one anchor into what it became.
Whether it is right anywhere is not decided here (`soundness`, `search`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from rulewright.mining.align import Edit, Mapped, blocks
from rulewright.mining.contexts import selector_rule
from rulewright.mining.lift import (
    FORGED_HOLE, GENERAL, POLICIES, TIGHT, Lifted, Policy, dedent, leading_spaces, lift,
)  # fmt: skip
from rulewright.mining.specificity import bits
from rulewright.mining.tree import Node, Tree

Shape = Literal["pattern", "transform", "delete", "lexical", "literal", "run"]

MAX_ANCHORS: Final = 8
MAX_ANCHOR_CHARS: Final = 2_500
MAX_RUN: Final = 12
MAX_PARTS: Final = 4
MAX_CORE: Final = 400
MAX_HEAD: Final = 80
MAX_RUN_CHARS: Final = 1_500
LEXICAL_CHARS: Final = 60
ENOUGH_BITS: Final = 10.0

VAGUE_COST: Final = 0.4
"""For each bit that a rule asks too little."""
VAGUE_TOKEN_COST: Final = 0.08
BASE_COST: Final[dict[Shape, float]] = {
    "pattern": 1.0, "transform": 1.5, "delete": 2.0, "lexical": 1.8, "literal": 6.0, "run": 8.0,
}  # fmt: skip


TOKEN_COST: Final = 0.6
"""A single token replaced by another: what surrounds it cannot go wrong."""


@dataclass(frozen=True)
class Candidate:
    """A rule to be judged, and what it was made from."""

    rule: dict[str, Any]
    shape: Shape
    anchor: Node
    kind: str
    """The node kind that the rule matches."""
    hunks: frozenset[int]
    n_vars: int = 0
    extra_cost: float = 0.0
    inserts: bool = False
    """Whether whole lines come in beside code that stays as it is."""
    lifted: Lifted | None = field(default=None, compare=False)

    @cached_property
    def key(self) -> str:
        return json.dumps(self.rule, ensure_ascii=False, sort_keys=True)

    @cached_property
    def bits(self) -> float:
        """How much the rule asks of what it matches, in bits (rough)."""
        return bits(self.rule)

    @cached_property
    def cost(self) -> float:
        """Lower is better: short, named, not too general."""
        base = BASE_COST[self.shape]
        doubt = VAGUE_COST
        if self.is_token:
            base, doubt = TOKEN_COST, VAGUE_TOKEN_COST
        vague = max(0.0, ENOUGH_BITS - self.bits) * doubt
        crowd = 0.5 * max(0, self.n_vars - 5)
        return base + 0.3 * _length(self.rule) / 40 + vague + crowd + self.extra_cost

    @property
    def is_token(self) -> bool:
        """Whether it replaces one token by another."""
        return self.shape == "lexical" and not self.anchor.children

    @property
    def generalises(self) -> bool:
        return self.shape in ("pattern", "transform", "delete", "lexical")


def _length(value: Any) -> int:
    """Characters that a person has to read: patterns and fixes, wrappers left out."""
    if isinstance(value, str):
        return len(value) + 4
    if isinstance(value, dict):
        if "selector" in value:
            return max(0, len(value["context"]) - 12)
        return sum(_length(v) for v in value.values())
    return sum(map(_length, value)) if isinstance(value, list | tuple) else 1


def for_hunk(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """Every operator's candidates for one hunk, promising ones first."""
    hunk = edit.hunks[number]
    seen: set[str] = set()
    for candidate in _all(edit, number, hunk.a0, hunk.a1, names):
        if candidate.key not in seen:
            seen.add(candidate.key)
            yield candidate


def _all(edit: Edit, number: int, start: int, end: int, names: frozenset[str]) -> Iterator[Candidate]:
    yield from _inside_token(edit, number)
    yield from _final_newline(edit, number)
    yield from _deletions(edit, number, names)
    anchors = list(_anchors(edit.pre, start, end))
    for policy in POLICIES:
        for anchor, mapped in _placed(edit, anchors, number):
            yield from _patterns(edit, anchor, mapped, policy, names)
    for anchor, mapped in _placed(edit, anchors, number):
        yield from _literal(edit, anchor, mapped)
    yield from _runs(edit, number, names)


def _anchors(tree: Tree, start: int, end: int) -> Iterator[Node]:
    count = 0
    spans: set[tuple[int, int, str]] = set()
    for node in tree.covering(start, end):
        if node.parent is None or node.size > MAX_ANCHOR_CHARS or count >= MAX_ANCHORS:
            return
        if not node.named or not node.size or node.kind in ("ERROR", "program", "module", "source_file"):
            continue
        if (node.start, node.end, node.kind) not in spans:
            spans.add((node.start, node.end, node.kind))
            count += 1
            yield node


def _placed(edit: Edit, anchors: Sequence[Node], number: int) -> Iterator[tuple[Node, Mapped]]:
    """Anchors with the well-formed ranges that they may have become."""
    for anchor in anchors:
        for mapped in edit.map_range(anchor.start, anchor.end):
            if number in mapped.hunks and _well_formed(edit, anchor, mapped):
                yield anchor, mapped


def _well_formed(edit: Edit, anchor: Node, mapped: Mapped) -> bool:
    start, end = _stripped(edit.post.text, mapped.start, mapped.end)
    if start == end:
        return False
    became = edit.post.siblings_spanning(start, end)
    if len(became) > 1:
        return anchor.parent is not None and (became[0].named or became[-1].named)
    return bool(became)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _patterns(
    edit: Edit, anchor: Node, mapped: Mapped, policy: Policy, names: frozenset[str]
) -> Iterator[Candidate]:
    forbidden: frozenset[int] = frozenset()
    for _ in range(4):
        lifted = lift(edit, [anchor], mapped, policy, names, forbidden)
        if lifted is None or not lifted.holes:
            return
        if lifted.pattern.strip() == lifted.holes[0].ref:
            return
        matcher = selector_rule(lifted.pattern, anchor.kind, edit.pre.language, edit.pre.text_of(anchor))
        if matcher is not None:
            extra = policy.cost + (0.3 if "kind" in matcher or isinstance(matcher["pattern"], dict) else 0.0)
            yield Candidate(
                {"rule": matcher, "fix": lifted.fix}, "pattern", anchor, anchor.kind, mapped.hunks,
                lifted.n_vars, extra, _only_inserts(edit, mapped), lifted,
            )  # fmt: skip
            return
        largest = sorted((h for h in lifted.holes if not h.moved), key=lambda h: h.start - h.end)
        largest = largest[: max(1, len(largest) // 3)]
        forbidden |= {n.index for h in largest for n in edit.pre.at(h.start, h.end)}
        forbidden |= {n.index for h in largest if h.multi for n in _first_in(edit.pre, h.start)}


def _only_inserts(edit: Edit, mapped: Mapped) -> bool:
    hunks = [edit.hunks[i] for i in mapped.hunks]
    return all(not edit.pre.text[h.a0 : h.a1].strip() and "\n" in edit.post.text[h.b0 : h.b1] for h in hunks)


def _first_in(tree: Tree, start: int) -> list[Node]:
    return [node for node in tree.covering(start, start + 1) if node.start == start]


def _literal(edit: Edit, anchor: Node, mapped: Mapped) -> Iterator[Candidate]:
    """The anchor's text as it is, as a pattern or, where none parses, as kind and regex."""
    text, became = edit.pre.text_of(anchor), edit.post.text[mapped.start : mapped.end]
    if FORGED_HOLE.search(became):
        return
    indent = leading_spaces(edit.pre, anchor.start)
    fix = dedent(became, indent)
    if fix is None:
        return
    shape: Shape = "lexical" if len(text) <= LEXICAL_CHARS and "\n" not in text else "literal"
    pattern = dedent(text, indent) or text
    matcher = None
    if not FORGED_HOLE.search(text):
        matcher = selector_rule(pattern, anchor.kind, edit.pre.language)
    wrapped = matcher is not None and isinstance(matcher["pattern"], dict)
    if matcher is not None and (anchor.children or not wrapped):
        yield Candidate({"rule": matcher, "fix": fix}, shape, anchor, anchor.kind, mapped.hunks)
    if matcher is None or not anchor.children:
        regex = {"kind": anchor.kind, "regex": f"^{regex_escape(text)}$"}
        yield Candidate({"rule": regex, "fix": fix}, shape, anchor, anchor.kind, mapped.hunks, 0, 0.2)


_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$#&~]")


def regex_escape(text: str) -> str:
    r"""Escape what Rust's regex takes as special, and nothing else (`-` and blanks read better bare).

    >>> regex_escape("a.b(c)\n")
    'a\\.b\\(c\\)\\n'
    """
    return _SPECIAL.sub(lambda m: "\\" + m.group(), text).replace("\n", "\\n")


def _inside_token(edit: Edit, number: int) -> Iterator[Candidate]:
    """An edit within a string, comment, number or name: replace a part by `transform`."""
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


def _token_rules(edit: Edit, node: Node, mapped: Mapped) -> Iterator[Candidate]:
    old, new = edit.pre.text_of(node), edit.post.text[mapped.start : mapped.end]
    if old == new or not new:
        return
    lead = 0
    while lead < min(len(old), len(new)) and old[lead] == new[lead]:
        lead += 1
    tail = 0
    while tail < min(len(old), len(new)) - lead and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    for start, end in _cores(old, lead, len(old) - tail):
        if (start, end) != (0, len(old)):
            yield from _replacing(node, mapped, old, [(start, end, new[start : len(new) - (len(old) - end)])])
    parts = _word_changes(old, new)
    if 2 <= len(parts) <= MAX_PARTS:
        yield from _replacing(node, mapped, old, parts)


def _replacing(
    node: Node, mapped: Mapped, old: str, parts: Sequence[tuple[int, int, str]]
) -> Iterator[Candidate]:
    """One rule that replaces parts of a token, each by a `transform` on the one before."""
    steps: dict[str, Any] = {}
    source, extra, first = "$T", 0.0, ""
    for number, (start, end, by) in enumerate(parts):
        core = old[start:end]
        if FORGED_HOLE.search(by) or len(core) > MAX_CORE or (not core and 0 < start < len(old)):
            return
        regex = regex_escape(core)
        if start == 0:
            regex = "^" + regex
        if end == len(old):
            regex += "$"
        name = "NEW" if number == len(parts) - 1 else f"NEW{number + 1}"
        steps[name] = {"replace": {"source": source, "replace": regex, "by": by.replace("$", "$$")}}
        source, first = f"${name}", first or regex
        extra += 0.4 if "\n" in core or "\n" in by else 0.0
    rule = {"rule": {"kind": node.kind, "pattern": "$T", "regex": first}, "transform": steps, "fix": "$NEW"}
    yield Candidate(rule, "transform", node, node.kind, mapped.hunks, 1, extra)


def _word_changes(old: str, new: str) -> list[tuple[int, int, str]]:
    """The changed runs of words between two texts, widened until each stands once in the old."""
    words_a = [(m.start(), m.group()) for m in _WORDS.finditer(old)]
    words_b = [m.group() for m in _WORDS.finditer(new)]
    if len(words_a) > 4000 or len(words_b) > 4000:
        return []
    found: list[tuple[int, int, str]] = []
    for equal, i1, i2, j1, j2 in blocks([w for _, w in words_a], words_b):
        if equal:
            continue
        while i1 > 0 and (i1 == i2 or old.count("".join(w for _, w in words_a[i1:i2])) > 1):
            i1, j1 = i1 - 1, j1 - 1
        start = words_a[i1][0] if i1 < len(words_a) else len(old)
        end = words_a[i2][0] if i2 < len(words_a) else len(old)
        if found and start < found[-1][1]:
            return []
        found.append((start, end, "".join(words_b[j1:j2])))
    return found


_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")


def _cores(old: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The changed part, and the part widened to whole words."""
    wide_start, wide_end = start, end
    while (
        wide_start > 0
        and _WORD.match(old[wide_start - 1])
        and _WORD.match(old[wide_start : wide_start + 1] or " ")
    ):
        wide_start -= 1
    while (
        wide_end < len(old)
        and _WORD.match(old[wide_end])
        and _WORD.match(old[wide_end - 1 : wide_end] or " ")
    ):
        wide_end += 1
    if start == end and (wide_start, wide_end) == (start, end) and 0 < start < len(old):
        while wide_start > 0 and _WORD.match(old[wide_start - 1]):
            wide_start -= 1
        if wide_start == start:
            wide_start -= 1
    if (start == 0 or end == len(old)) and (wide_start, wide_end) != (start, end):
        yield start, end
    yield wide_start, wide_end


def _deletions(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """A node goes, with the gap to its neighbour: the rewrite expands over the neighbour."""
    hunk = edit.hunks[number]
    if edit.post.text[hunk.b0 : hunk.b1].strip():
        return
    start, end = _stripped(edit.pre.text, hunk.a0, hunk.a1)
    gone = [n for n in edit.pre.siblings_spanning(start, end) if n.size]
    if not gone:
        return
    named = [n for n in gone if n.named]
    if len(named) != 1 or any(edit.pre.text_of(n) not in ",;" for n in gone if not n.named):
        return
    node = named[0]
    after, before = node.siblings_after(), node.siblings_before()
    for extra in (n for n in gone if n is not node):
        side = "expandEnd" if extra.slot > node.slot else "expandStart"
        yield from _delete_comma(edit, node, extra, number, side, names)
    held = {id(n) for n in gone}
    for others, side in ((before, "expandStart"), (after, "expandEnd")):
        other = next((n for n in others if n.size and id(n) not in held), None)
        if other is not None and not other.is_comment:
            yield from _delete_over(edit, node, other, number, side, names)


def _node_matchers(edit: Edit, node: Node, names: frozenset[str]) -> Iterator[tuple[dict[str, Any], int]]:
    """Ways to say which node: by a pattern with variables, then by its text."""
    still = Edit(edit.pre, edit.pre, ())
    place = Mapped(node.start, node.end, frozenset())
    for policy in (GENERAL, TIGHT):
        lifted = lift(still, [node], place, policy, names)
        if lifted is not None and lifted.holes:
            matcher = selector_rule(lifted.pattern, node.kind, edit.pre.language)
            if matcher is not None:
                yield matcher, lifted.n_vars
    yield _by_text(edit, node), 0


def _by_text(edit: Edit, node: Node) -> dict[str, Any]:
    text = edit.pre.text_of(node)
    if node.named and not FORGED_HOLE.search(text):
        pattern = dedent(text, leading_spaces(edit.pre, node.start)) or text
        matcher = selector_rule(pattern, node.kind, edit.pre.language)
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


def _runs(edit: Edit, number: int, names: frozenset[str]) -> Iterator[Candidate]:
    """Neighbouring siblings that change together: match the first, expand to the last."""
    hunk = edit.hunks[number]
    ranges = [(hunk.a0, hunk.a1)]
    if len(edit.hunks) > 1:
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
    for mapped in edit.map_range(nodes[0].start, last.end):
        if number not in mapped.hunks or mapped.start == mapped.end:
            continue
        for policy, heads in ((GENERAL, False), (GENERAL, True), (TIGHT, True)):
            lifted = lift(edit, nodes, mapped, policy, names)
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
                False,
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


def _final_newline(edit: Edit, number: int) -> Iterator[Candidate]:
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
        matcher = selector_rule(pattern, node.kind, edit.pre.language)
        if matcher is not None:
            if head and "kind" in matcher and "regex" not in matcher:
                line, *more = text.split("\n")
                whole = "" if more or len(line) > MAX_HEAD else "$"
                return {**matcher, "regex": f"^{regex_escape(line[:MAX_HEAD])}{whole}"}
            return matcher
    return _by_text(edit, node)
