"""Separate a model's thought from its answer."""

from __future__ import annotations

import re
from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


def split_thought(text: str, answer: str = "") -> tuple[str, str]:
    r"""Separate `<think>…</think>` from the rest; an unclosed one includes everything after it.

    Some servers drop the opening tag, so text before a lone closing tag counts as thought.

    Args:
        text: everything the model wrote.
        answer: what its answer begins with; a lone closing tag after that is part of the answer.

    >>> split_thought("first</think>second</think>\nf(x)")
    ('first\nsecond', '\nf(x)')
    """
    thoughts = re.findall(f"{_OPEN}(.*?){_CLOSE}", text, re.DOTALL)
    rest = re.sub(f"{_OPEN}.*?{_CLOSE}", "", text, flags=re.DOTALL)
    rest, opened, unclosed = rest.partition(_OPEN)
    if opened:
        return "\n".join([*thoughts, unclosed]).strip(), rest
    head = rest.partition(answer)[0] if answer else rest
    lone, closed, _ = head.rpartition(_CLOSE)
    return "\n".join([*lone.split(_CLOSE), *thoughts]).strip(), rest[len(lone + closed) :]
