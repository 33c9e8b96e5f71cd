"""Did-you-mean, for messages that a model or a person repairs from."""

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
