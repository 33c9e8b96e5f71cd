"""`ast-grep-ignore` comments: `scan` obeys them, the binding does not.

A comment alone on its line silences the next line, one after code its own line, one on
the first line with nothing on the second the whole file; `: id, id` narrows it to rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ast_grep_py import SgNode

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
    kept = []
    for node in found:
        at = lines.get(node.range().start.line)
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
        if "comment" in node.kind():
            suppression = _Suppression(_ids(node.text()))
            line = node.range().start.line
            previous, following = node.prev(), node.next()
            alone = previous is None or previous.range().start.line != line
            if line == 0 and alone and (following is None or following.range().start.line >= 2):
                whole = suppression
                if suppression.ids is None:
                    break
            else:
                lines[line + 1 if alone else line] = suppression
        stack += reversed(node.children())
    return whole, lines


def _ids(comment: str) -> frozenset[str] | None:
    after = comment.strip().partition(MARK)[2].strip()
    if not after:
        return None
    _, colon, names = after.partition(":")
    if not colon:
        return None
    return frozenset(name.strip() for name in names.split(","))
