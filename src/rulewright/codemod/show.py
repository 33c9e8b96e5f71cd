"""Show what rules do: places on one line, and diffs."""

from __future__ import annotations

from itertools import chain
from typing import Final

from rulewright import console, difftext
from rulewright.codemod.work import JudgedFile

LINE: Final = 70
"""Most characters of a place on one line."""


SHARED: Final = 15
"""Characters of a common start that are kept when long texts are cut."""


_COLORS: Final = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def one_line(text: str, limit: int = LINE) -> str:
    """A text on one line, cut at the limit."""
    flat = " ".join(console.clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "…"


def one_line_each(old: str, new: str) -> tuple[str, str]:
    """Two versions of a text, each on one line; long ones are cut to the part where they differ.

    >>> one_line_each("f(" + "a" * 99 + ", b)", "f(" + "a" * 99 + ", c)")
    ('…aaaaaaaaaaaaa, b)', '…aaaaaaaaaaaaa, c)')
    """
    one, other = (" ".join(console.clean(text).split()) for text in (old, new))
    alike, _ = difftext.common_ends(one, other)
    if alike + SHARED > LINE:
        one, other = (f"…{text[alike - SHARED :]}" for text in (one, other))
    return one_line(one), one_line(other)


def diff(one: JudgedFile, colored: bool) -> str:
    """The unified diff of a file; empty if there is no result."""
    before, after = one.texts()
    if after is None:
        return ""
    name = str(one.path)
    old, new = difftext.lines(before), difftext.lines(after)
    lines = []
    heads = [f"--- {name}\n", f"+++ {name}\n"]
    for number, line in enumerate(chain(heads, difftext.hunks(old, new))):
        end = "" if line.endswith("\n") or line.startswith("@@ ") else "\n\\ No newline at end of file"
        text = console.clean(line.rstrip("\r\n"))
        color = ("\x1b[1m" if number < 2 else _COLORS.get(line[:1], "")) if colored else ""
        lines.append(f"{color}{text}\x1b[0m{end}" if color else text + end)
    return "\n".join(lines)
