"""Did-you-mean and quoted code, for messages that a model or a person repairs from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], n: int = 1) -> str:
    """Give `; did you mean `x`?` for the nearest known words, or nothing.

    >>> did_you_mean("patern", ["pattern", "kind"])
    '; did you mean `pattern`?'
    """
    near = difflib.get_close_matches(word[:100], list(known), n=n, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(f"`{item}`" for item in near) + "?"


def quoted(text: str, most: int = 80) -> str:
    r"""Code in backticks, on one line, cut to so many characters.

    >>> quoted("f(a,\n  b)"), quoted("abcdefgh", 6)
    ('`f(a, b)`', '`abc...`')
    """
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= most else flat[: most - 3] + '...'}`"
