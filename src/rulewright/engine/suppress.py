"""`ast-grep-ignore` comments: `scan` obeys them, the binding does not.

A comment whose first letters are `ast-grep-ignore` silences the next line where it stands alone, the
first line of the node before it where it trails one, and the whole file on line 1 with line 2 empty; `:
id, id` narrows it to rules. Of two for one line the last counts. The line on which a match starts
decides.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from ast_grep_py import SgNode

from rulewright.engine.parsing import span

MARK: Final = "ast-grep-ignore"


Ids = frozenset[str] | None
"""The rules that a comment silences; `None`: every rule."""


def keep(found: Sequence[SgNode], root: SgNode, rule_id: str) -> list[SgNode]:
    """Leave out the matches that a comment suppresses."""
    whole, lines = _collect(root)
    if any(ids is None or rule_id in ids for ids in whole):
        return []
    if not lines:
        return list(found)
    begin, line = span(root)[0], root.range().start.line
    breaks = [begin + found.start() for found in re.finditer("\n", root.text())]
    silent = {number for number, ids in lines.items() if ids is None or rule_id in ids}
    return [node for node in found if line + bisect_left(breaks, span(node)[0]) not in silent]


def _collect(root: SgNode) -> tuple[list[Ids], dict[int, Ids]]:
    """Of the whole file, and by line, what is silenced."""
    whole: list[Ids] = []
    lines: dict[int, Ids] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        text = node.text()
        if MARK not in text:
            continue
        letters = next((i for i, char in enumerate(text) if char.isalpha()), 0)
        if "comment" in node.kind() and text.startswith(MARK, letters):
            ids = _ids(text)
            line = node.range().start.line
            previous, following = node.prev(), node.next()
            if previous is not None and previous.range().end.line == line:
                lines[previous.range().start.line] = ids
            elif line == 0 and (following is None or following.range().start.line >= 2):
                whole = [ids]
            else:
                lines[line + 1] = ids
        stack += reversed(node.children())
    return whole, lines


def _ids(comment: str) -> Ids:
    _, colon, names = comment.partition(MARK)[2].strip().partition(":")
    if not colon:
        return None
    # What follows an id after a space is a remark.
    return frozenset(name.strip().partition(" ")[0] for name in names.split(","))
