"""`~` and `$NAME` in the texts of a configuration that name files, as a shell would read them.

A text counts if it begins with `~` or a variable, or holds `${NAME}` and no blank. What a
shell has expanded already comes through unchanged.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

_LEADING: Final = re.compile(r"~(?:[\w.-]*)(?=/|$)|\$(?:\w+|\{\w+\})(?=/|$)")
_BRACED: Final = re.compile(r"\$\{(\w+)\}")
_NAME: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class Unset(ValueError):
    """A variable of the environment that is not there; its name is the message."""


def expand(text: str) -> str:
    """The path that a text means.

    Raises:
        Unset: it names a variable that is not set.
    """
    if "\n" in text or not (_LEADING.match(text) or (_BRACED.search(text) and " " not in text)):
        return text

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise Unset(name)
        return os.environ[name]

    return os.path.expanduser(_NAME.sub(value, text))  # noqa: PTH111  (a text, perhaps a glob)


def expand_all(values: Any) -> Any:
    """The same in every text of nested lists and mappings."""
    if isinstance(values, str):
        return expand(values)
    if isinstance(values, list):
        return [expand_all(value) for value in values]
    if isinstance(values, dict):
        return {key: expand_all(value) for key, value in values.items()}
    return values
