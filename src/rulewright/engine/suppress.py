"""`ast-grep-ignore` comments: `scan` obeys them, the binding does not.

A comment whose first letters are `ast-grep-ignore` silences the next line where it stands
alone, the first line of the node before it where it trails one, and the whole file on
line 1 with line 2 empty; `: id, id` narrows it to rules. Of two for one line the last
counts. All by the line on which a match begins.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright.engine.parsing import span

MARK: Final = "ast-grep-ignore"


class _Suppression(NamedTuple):
    ids: frozenset[str] | None
    """`None`: every rule."""

    def holds_for(self, rule_id: str) -> bool:
        return self.ids is None or rule_id in self.ids


def keep(found: Sequence[SgNode], root: SgNode, rule_id: str) -> list[SgNode]:
    """Leave out the matches that a comment suppresses."""
    whole, lines = _collect(root)
    if whole is not None and whole.holds_for(rule_id):
        return []
    if not lines:
        return list(found)
    begin, line = span(root)[0], root.range().start.line
    breaks = [begin + found.start() for found in re.finditer("\n", root.text())]
    kept = []
    for node in found:
        at = lines.get(line + bisect_left(breaks, span(node)[0]))
        if at is None or not at.holds_for(rule_id):
            kept.append(node)
    return kept


def _collect(root: SgNode) -> tuple[_Suppression | None, dict[int, _Suppression]]:
    whole: _Suppression | None = None
    lines: dict[int, _Suppression] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if MARK not in node.text():
            continue
        if "comment" in node.kind() and _begins(node.text()):
            suppression = _Suppression(_ids(node.text()))
            line = node.range().start.line
            previous, following = node.prev(), node.next()
            if previous is not None and previous.range().end.line == line:
                lines[previous.range().start.line] = suppression
            elif line == 0 and (following is None or following.range().start.line >= 2):
                whole = suppression
                if suppression.ids is None:
                    break
            else:
                lines[line + 1] = suppression
        stack += reversed(node.children())
    return whole, lines


def _begins(comment: str) -> bool:
    start = next((i for i, char in enumerate(comment) if char.isalpha()), 0)
    return comment.startswith(MARK, start)


def _ids(comment: str) -> frozenset[str] | None:
    after = comment.strip().partition(MARK)[2].strip()
    if not after:
        return None
    _, colon, names = after.partition(":")
    if not colon:
        return None
    # What follows an id after a space is a remark.
    return frozenset(name.strip().partition(" ")[0] for name in names.split(","))
