"""Which lines of a text belong to one statement."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from ast_grep_py import SgNode

from rulewright import grammars


def statements(root: SgNode, lines: Set[int]) -> Iterator[frozenset[int]]:
    """The lines (from 1) of each statement that some lines belong to; imports are left out.

    Of a statement that holds others, like a function, these are the lines outside of them. What begins in a
    line where a statement ends belongs to it, as the text of a heredoc does.
    """
    stack = [root]
    while stack:
        node = stack.pop()
        if lines.isdisjoint(_range(node)) or grammars.IMPORT.search(node.kind()):
            continue
        stack += node.children()
        for row in _rows(node):
            own = frozenset(line for one in row for line in _own_lines(one))
            if not own.isdisjoint(lines):
                yield own


def statement_lines(root: SgNode, lines: Set[int]) -> dict[int, Set[int]]:
    """By line, the lines of the statements that it belongs to, and itself."""
    found: dict[int, Set[int]] = {}
    for one in statements(root, lines):
        for line in one & lines:
            found[line] = found[line] | one if line in found else one
    return {line: found.get(line, {line}) for line in lines}


def _rows(node: SgNode) -> Iterator[list[SgNode]]:
    """The items that a node holds; together those of which one begins in the line where another one ends."""
    row: list[SgNode] = []
    for item in _split(node)[0]:
        if row and (grammars.IMPORT.search(item.kind()) or _range(item).start >= _range(row[-1]).stop):
            yield row
            row = []
        if not grammars.IMPORT.search(item.kind()):
            row.append(item)
    if row:
        yield row


def _split(node: SgNode) -> tuple[list[SgNode], list[SgNode]]:
    """What a node holds: its items if it holds such, and the rest."""
    children = node.children()
    if not (grammars.ITEMS.search(node.kind()) or node.kind() in grammars.ROOTS):
        return [], children
    items = [one for one in children if one.is_named() and one.kind() not in _TAGS]
    rest = [one for one in children if one.kind() in _TAGS or not (one.is_named() or one.kind() in ",;")]
    return items, rest


_TAGS: Final = frozenset({"jsx_opening_element", "jsx_closing_element"})
"""Parts of an element, and no elements in it."""


def _own_lines(node: SgNode) -> Iterator[int]:
    """The lines in which a node has code that is no item of a statement in it."""
    stack = [node]
    while stack:
        one = stack.pop()
        items, rest = _split(one)
        if items or rest:
            stack += rest
        else:
            yield from _range(one)


def _range(node: SgNode) -> range:
    """The lines of a node, from 1."""
    place = node.range()
    ends_before = place.end.column == 0 and place.end.line > place.start.line
    return range(place.start.line + 1, place.end.line + (1 if ends_before else 2))
