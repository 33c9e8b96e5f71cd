"""Separate a model's thought from its answer."""

from __future__ import annotations

import re
from typing import Final

_CLOSE: Final = "</think>"
_THOUGHT: Final = re.compile(rf"<think>(.*?)(?:{_CLOSE}|\Z)", re.DOTALL)


def split_thought(text: str, answer: str = "") -> tuple[str, str]:
    r"""Separate `<think>…</think>` from the rest; an unclosed one includes everything after it.

    Some servers drop the opening tag, so text before a lone closing tag counts as thought.

    Args:
        text: everything the model wrote.
        answer: what its answer begins with; tags after that are part of the answer.

    >>> split_thought("first</think>second</think>\nf(x)")
    ('first\nsecond', '\nf(x)')
    """
    # A thought may speak of how an answer begins.
    at = _THOUGHT.sub(lambda found: " " * len(found[0]), text).find(answer) if answer else -1
    head, spoken = (text[:at], text[at:]) if at >= 0 else (text, "")
    thoughts, rest = _THOUGHT.findall(head), _THOUGHT.sub("", head)
    lone, _, left = rest.rpartition(_CLOSE)
    return "\n".join([*lone.split(_CLOSE), *thoughts]).strip(), left + spoken
