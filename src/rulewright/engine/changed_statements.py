"""The statements of a text that edits change, parsed by themselves.

Invariant: where each of them parses without faults to one statement of its old kind, so does it in the
whole text, whose tree is the same elsewhere: a grammar takes one statement for another.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.difftext import splice
from rulewright.engine.applier import MatchEdit
from rulewright.engine.parsing import ParsedCode, parsed, span
from rulewright.languages import Language

PARTED_CHARS: Final = 2_000
"""Characters from which it pays to parse the changed statements of a text alone."""
_OF_STATEMENTS: Final = frozenset({*grammars.BLOCKS, "statement_list", "statements", "body_statement"})
_REST: Final = re.compile(r"[^\S\n]*(?:\n|\Z)")
"""Nothing more on the line."""
_JOINS: Final = frozenset("([{`/+-*.,?&|=<%^:")
"""What, at the beginning of a line, may go on with the statement before."""
_HEREDOC: Final = re.compile(r"<<[~-]?[\"'`]?[A-Za-z_]")
"""A text that stands below the statement, outside of it."""
_HEAD: Final = "if 1:\n"
"""What an indented statement of Python stands below, so that its later lines keep their indentation."""


class ChangedStatement(NamedTuple):
    """A statement that has its lines for itself: where it stands with its indentation, and its new text."""

    start: int
    end: int
    kind: str
    indent: int
    text: str
    node: SgNode

    def holds(self, start: int, end: int) -> bool:
        return self.start <= start and end <= self.end


class Alone(NamedTuple):
    """The new texts of holes, parsed, and where the text of each begins there."""

    tree: ParsedCode
    starts: tuple[int, ...]


def changed(
    source: str,
    edits: Sequence[MatchEdit],
    holes: Sequence[ChangedStatement] = (),
) -> list[ChangedStatement] | None:
    """The smallest statements about matches, with edits made; holes of before stay, or go into larger ones.

    `None`: some edit is in no statement that has its lines for itself, or changes how one begins or ends.
    """
    wholes: list[ChangedStatement] = []
    for edit in edits:
        if wholes and wholes[-1].holds(edit.start, edit.end):
            continue
        whole = _statement(source, edit)
        if whole is None:
            return None
        while wholes and whole.start <= wholes[-1].start:
            wholes.pop()
        wholes.append(whole)
    made = [(edit.start, edit.end, edit.text) for edit in edits]
    made += [(hole.start, hole.end, hole.text) for hole in holes]
    made.sort(key=lambda edit: edit[:2])
    found: list[ChangedStatement] = []
    left: list[ChangedStatement] = []
    at = 0
    for whole in wholes:
        inside = []
        while at < len(made) and made[at][0] < whole.end:
            start, end, text = made[at]
            if whole.holds(start, end):
                inside.append((start - whole.start, end - whole.start, text))
            at += 1
        found.append(whole._replace(text=splice(source[whole.start : whole.end], inside)))
    ends = [whole.end for whole in found]
    for hole in holes:
        at = bisect_left(ends, hole.end)
        if at == len(ends) or not found[at].holds(hole.start, hole.end):
            left.append(hole)
    now = sorted([*found, *left], key=lambda hole: hole.start)
    return now if all(_borders_stay(source, hole) for hole in now) else None


def _borders_stay(source: str, hole: ChangedStatement) -> bool:
    """Whether a statement with its new text surely begins and ends where the old one does."""
    old, new = source[hole.start : hole.end], hole.text
    begins = new.lstrip()[:1]
    joins = begins in _JOINS and begins != old.lstrip()[:1]
    heredoc = _HEREDOC.search(old) or _HEREDOC.search(new)
    return new[-1:] == old[-1:] and not joins and heredoc is None


def _statement(source: str, edit: MatchEdit) -> ChangedStatement | None:
    """The smallest one about a match that holds its edit."""
    above = [edit.node, *edit.node.ancestors()] if edit.node is not None else []
    for one, parent in pairwise(above):
        # The last of a block of Rust may be a value.
        is_statement = parent.kind() in _OF_STATEMENTS and not one.kind().endswith("_expression")
        if is_statement or parent is above[-1]:
            start, end = span(one)
            line = source.rfind("\n", 0, start) + 1
            ends = source[end - 1] == "\n" or _REST.match(source, end) is not None
            inside = start <= edit.start and edit.end <= end
            if not source[line:start].strip() and ends and inside:
                return ChangedStatement(line, end, one.kind(), start - line, "", one)
    return None


def parse_alone(holes: Sequence[ChangedStatement], language: Language, limit: int) -> Alone | None:
    """Parse the new texts of holes; `None` where they are longer than a limit, or no such statements."""
    texts: list[str] = []
    starts: list[int] = []
    size = 0
    for hole in holes:
        head = _HEAD if language == "python" and hole.indent else ""
        starts.append(size + len(head))
        texts.append(head + hole.text)
        size += len(texts[-1]) + 1
    if size > limit:
        return None
    after = parsed("\n".join([*texts, ""]), language)
    found = [one for one in after.root.children() if one.is_named()]
    if after.broken or len(found) != len(holes):
        return None
    for one, hole, text, start in zip(found, holes, texts, starts, strict=True):
        body = one.field("consequence") if text.startswith(_HEAD) else None
        inner = body.children() if body is not None else [one]
        if len(inner) != 1 or inner[0].kind() != hole.kind or span(inner[0])[0] != start + hole.indent:
            return None
    return Alone(after, tuple(starts))
