"""Insert new text beside a node that stays, found by its text, name or first line.

The fix writes the node again with the new text before or after it. If the blanks between two
neighbors change too, the fix covers both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rulewright.actions.visit import regex_escape
from rulewright.difftext import dedent
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.propose.naming import SHORT, by_name
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import VARIABLE_LIKE, leading_spaces
from rulewright.mining.text.snippets import selector_rule
from rulewright.mining.text.tree import Node, Tree

MAX_NEW: Final = 1_000


def insertions(edit: Edit, number: int) -> Iterator[Candidate]:
    """Rules that insert the new text of a hunk beside one of its neighbors."""
    hunk = edit.hunks[number]
    if edit.pre.text[hunk.a0 : hunk.a1].strip() or hunk.b1 - hunk.b0 > MAX_NEW:
        return
    before, after = neighbors(edit.pre, hunk.a0, hunk.a1)
    for node in (after, before):
        if node is not None and node.named:
            for mapped in edit.map_range(node.start, node.end):
                if mapped.hunks != {number}:
                    continue
                new = edit.post.text[mapped.start : mapped.end]
                for matcher, name in _matchers(edit.pre, node):
                    fix = _around(edit, node, new, name)
                    if fix is not None:
                        rule = {"rule": matcher, "fix": fix}
                        yield Candidate(rule, "insert", node, node.kind, mapped.hunks)
    if before is not None and after is not None and before.parent is after.parent:
        yield from _between(edit, number, before, after)


def neighbors(tree: Tree, start: int, end: int) -> tuple[Node | None, Node | None]:
    """The largest nodes just before and just after a gap."""
    text = tree.text
    while start and text[start - 1].isspace():
        start -= 1
    while end < len(text) and text[end].isspace():
        end += 1
    parent = next((n for n in tree.covering(start, end) if n.start < start or n.end > end), tree.root)
    before = next((c for c in parent.children if c.size and c.end == start), None)
    after = next((c for c in parent.children if c.size and c.start == end), None)
    return before, after


def _matchers(tree: Tree, node: Node) -> Iterator[tuple[dict[str, Any], str]]:
    """Matchers for a neighbor, each with what stands for it in the fix."""
    text = tree.text_of(node)
    if len(text) <= SHORT and "\n" not in text and not VARIABLE_LIKE.search(text):
        matcher = selector_rule(text, node.kind, tree.language, strict=True)
        if matcher is not None:
            yield matcher, text
            return
    for matcher in by_name(tree, node):
        yield {**matcher, "pattern": "$A"}, "$A"


def _around(edit: Edit, node: Node, new: str, name: str) -> str | None:
    """The fix: the new text with `name` for the node; `None` if it cannot be expressed."""
    own = edit.pre.text_of(node)
    if new.endswith(own):
        parts = (new[: -len(own)], "")
    elif new.startswith(own):
        parts = ("", new[len(own) :])
    else:
        return None
    if any(VARIABLE_LIKE.search(part) for part in parts):
        return None
    return dedent(parts[0] + name + parts[1], leading_spaces(edit.pre, node.start))


def _between(edit: Edit, number: int, before: Node, after: Node) -> Iterator[Candidate]:
    """Match one neighbor, expand over the other, and write both again."""
    for mapped in edit.map_range(before.start, after.end):
        if mapped.hunks != {number}:
            continue
        for node, other, relation, side in (
            (after, before, "follows", "expandStart"),
            (before, after, "precedes", "expandEnd"),
        ):
            if not node.named:
                continue
            for matcher, name in _matchers(edit.pre, node):
                text = edit.pre.text_of(other)
                what, ref = {"regex": f"^{regex_escape(text)}$"}, text
                if other.named:
                    what, ref = {"kind": other.kind}, "$Z"
                names = (ref, name) if node is after else (name, ref)
                indent = leading_spaces(edit.pre, node.start)
                template = _both(edit, before, after, names, mapped, indent)
                if template is None:
                    continue
                seen = {**what, "pattern": ref} if ref == "$Z" else what
                rule = {"rule": {**matcher, relation: seen}, "fix": {"template": template, side: what}}
                yield Candidate(rule, "insert", node, node.kind, mapped.hunks, costs.OVER_NEIGHBOR)


def _both(
    edit: Edit, before: Node, after: Node, names: tuple[str, str], mapped: Mapped, indent: str
) -> str | None:
    """The fix: both neighbors by their names with the new text between; `None` if it cannot be expressed."""
    new = edit.post.text[mapped.start : mapped.end]
    first, last = edit.pre.text_of(before), edit.pre.text_of(after)
    if len(new) < len(first) + len(last) or not (new.startswith(first) and new.endswith(last)):
        return None
    middle = new[len(first) : len(new) - len(last)]
    if VARIABLE_LIKE.search(middle):
        return None
    return dedent(names[0] + middle + names[1], indent)
