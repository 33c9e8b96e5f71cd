"""The tidy step: empty the whitespace-only lines that a rewrite itself made (docs/reference/formats.md).

ast-grep pads blank lines inside multi-line fixes and leaves the indentation of a
deleted statement. A whitespace-only line that stood in the text before stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PADDED: Final = re.compile(r"^[^\S\r\n][^\S\n]*$", re.MULTILINE)
# Characters of the private use areas; one that is in neither the code nor the rules marks lines.
_MARKS: Final = "\uf8ff\ue000\U0010fffd"


def mark_for(*texts: str) -> str:
    """A character that none of the texts holds; empty where they hold them all."""
    return next((mark for mark in _MARKS if not any(mark in text for text in texts)), "")


def holds_padding(text: str) -> bool:
    """Whether a line of the text is whitespace and nothing else."""
    return _PADDED.search(text) is not None


def tidy(text: str, spans: Sequence[tuple[int, int]], mark: str) -> tuple[str, bool]:
    """Empty padded lines that touch a span.

    Args:
        text: the text after the rewrite, marks included.
        spans: where the replacements lie in it, in order.
        mark: what ends a line that was there before; removed.

    Returns:
        The text, and whether a line was emptied.
    """
    parts: list[str] = []
    done = 0
    changed = False
    for start, end in spans:
        if parts and end <= done:
            continue
        first = max(done, text.rfind("\n", done, start) + 1)
        last = text.find("\n", end)
        last = len(text) if last < 0 else last
        block = text[first:last]
        # A carriage return at the end is part of the line end, not of the line.
        emptied = _PADDED.sub(lambda found: "\r" if found[0].endswith("\r") else "", block)
        changed = changed or emptied != block
        parts += [text[done:first], emptied]
        done = last
    parts.append(text[done:])
    joined = "".join(parts)
    return (joined.replace(mark, "") if mark else joined), changed
