"""Fix templates and their indentation, as ast-grep 0.51 does them.

Text in, text out; offsets are characters. Only spaces count as indentation, and the
look-back for it ends after 512 bytes, as in the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

LOOK_BACK_BYTES: Final = 512
_SLOT: Final = re.compile(r"(\${1,3})([A-Z_][A-Z0-9_]*)")


class Slot(NamedTuple):
    """A metavariable in a template."""

    name: str
    multiple: bool
    """`$$$NAME` rather than `$NAME`."""
    indent: int
    """Spaces that begin the slot's line in the template."""


@dataclass(frozen=True)
class Template:
    """Literal fragments with slots between them: one more fragment than slots."""

    fragments: tuple[str, ...]
    slots: tuple[Slot, ...]


def parse(text: str) -> Template:
    """Split a fix text at its metavariables.

    `$lower`, `$5` and a lone `$` stay literal.
    """
    fragments: list[str] = []
    slots: list[Slot] = []
    start = 0
    for found in _SLOT.finditer(text):
        fragments.append(text[start : found.start()])
        slots.append(Slot(found[2], len(found[1]) == 3, indent_at(text, found.start())))
        start = found.end()
    fragments.append(text[start:])
    return Template(tuple(fragments), tuple(slots))


def indent_at(text: str, offset: int) -> int:
    r"""Count the spaces that begin the line of `offset`; 0 beyond the look-back.

    >>> indent_at("a\n    b = c", 11), indent_at("\tb", 1)
    (4, 0)
    """
    start = text.rfind("\n", max(0, offset - LOOK_BACK_BYTES), offset) + 1
    if start == 0 and offset > 0:
        head = text[:offset]
        if len(head.encode("utf-8", "surrogatepass")) > LOOK_BACK_BYTES:
            return 0
        return len(head) - len(head.lstrip(" "))
    if not text.isascii() and len(text[start:offset].encode("utf-8", "surrogatepass")) >= LOOK_BACK_BYTES:
        return 0
    end = start
    while end < offset and text[end] == " ":
        end += 1
    return end - start


def reindent(text: str, old: int, new: int) -> str:
    r"""Move every line after the first from one indentation to another.

    ast-grep takes what is too much off the first line too, which begins with blanks only in a text.

    >>> reindent("a\n    b", 4, 2), reindent("  a\n    b", 4, 2)
    ('a\n  b', 'a\n  b')
    """
    if old == new or "\n" not in text:
        return text
    if new > old:
        return text.replace("\n", "\n" + " " * (new - old))
    extra = " " * (old - new)
    return text.removeprefix(extra).replace("\n" + extra, "\n")
