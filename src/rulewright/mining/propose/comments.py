"""Rewrite a one-line comment to code, as an annotation in a comment becomes one in code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rulewright.actions.visit import regex_escape
from rulewright.difftext import dedent
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.rules.reading import ANY_NAME, MARGIN
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import VARIABLE_LIKE, leading_spaces
from rulewright.mining.text.tree import Node

MAX_CHARS: Final = 60
"""Longest text of a comment."""
_MARGIN: Final = " \t/*#"
_CALLED: Final = re.compile(r"(?<![@\w\\])[A-Za-z_\\][\w\\]*")


def whole_comment(edit: Edit, node: Node, mapped: Mapped) -> Iterator[Candidate]:
    """Rules for a one-line comment that becomes code; a name that the code repeats may be any name."""
    lines = [line for line in (row.strip(_MARGIN) for row in edit.pre.text_of(node).split("\n")) if line]
    new = dedent(edit.post.text[mapped.start : mapped.end], leading_spaces(edit.pre, node.start))
    if not node.is_comment or len(lines) != 1 or not new:
        return
    [comment] = lines
    if len(comment) > MAX_CHARS or comment in new:
        return
    repeated = [found for found in _CALLED.finditer(comment) if re.search(_whole_name(found[0]), new)]
    if VARIABLE_LIKE.search(new) or len(repeated) != len({found[0] for found in repeated}):
        return
    if any(one.is_comment for one in edit.post.siblings_spanning(mapped.start, mapped.end)):
        return
    regex, by, at = "", new.replace("$", "$$"), 0
    for number, found in enumerate(repeated, 1):
        regex += regex_escape(comment[at : found.start()]) + ANY_NAME
        by = re.sub(_whole_name(found[0]), f"${{{number}}}", by)
        at = found.end()
    regex = f"^{MARGIN}{regex}{regex_escape(comment[at:])}{MARGIN}$"
    if not repeated:
        rule = {"rule": {"kind": node.kind, "regex": regex}, "fix": new}
        yield Candidate(rule, "lexical", node, node.kind, mapped.hunks)
        return
    matcher = {"kind": node.kind, "pattern": "$T", "regex": regex}
    step = {"source": "$T", "replace": regex, "by": by}
    rule = {"rule": matcher, "transform": {"NEW": {"replace": step}}, "fix": "$NEW"}
    yield Candidate(rule, "transform", node, node.kind, mapped.hunks)


def _whole_name(name: str) -> str:
    """A regular expression for a whole name, which may be qualified."""
    return rf"(?<![\w\\]){re.escape(name)}(?![\w\\])"
