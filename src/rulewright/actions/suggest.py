"""Did-you-mean hints and quoted code for messages from which a model or a user repairs a rule."""

from __future__ import annotations

from functools import partial
from typing import Final

from rulewright import errors

did_you_mean: Final = partial(errors.did_you_mean, mark="`")


def quoted(text: str, most: int = 80) -> str:
    r"""Code in backticks, on one line, cut to so many characters.

    >>> quoted("f(a,\n  b)"), quoted("abcdefgh", 6)
    ('`f(a, b)`', '`abc...`')
    """
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= most else flat[: most - 3] + '...'}`"
