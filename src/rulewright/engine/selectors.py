"""`kind` values that are selectors (`call > identifier`, `:has(…)`): do they name their kind?

ast-grep compiles them; `scan` insists that the node kind of what they select is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][\w-]*")
_IS: Final = re.compile(r":is\(")


def has_kinds(selector: str) -> bool:
    """Whether every alternative of a selector names the kind of the node it selects.

    >>> has_kinds("call > identifier"), has_kinds("call, :has(x)"), has_kinds(":is(call)")
    (True, False, True)
    """
    for one in _split(selector, ","):
        *_, subject = ["", *_split(one.strip(), " >+~\t\n")]
        inner = (next(_split(subject[found.end() :], ")"), "") for found in _IS.finditer(subject))
        if not _NAME.match(subject) and not any(map(has_kinds, inner)):
            return False
    return True


def _split(text: str, marks: str) -> Iterator[str]:
    """Split at marks outside brackets, leaving out empty parts."""
    depth = 0
    part = ""
    for char in text:
        if char in marks and depth == 0:
            if part:
                yield part
            part = ""
            continue
        depth += (char == "(") - (char == ")")
        part += char
    if part:
        yield part
