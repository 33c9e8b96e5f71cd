"""Write rule documents as YAML in the style of people and models.

Invariant: `yaml12.load(dump(x)) == x`, and ast-grep reads the same. Scalars are plain if that is safe in
both YAML 1.1 and 1.2, literal blocks if they have several lines, otherwise quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright import yaml12

_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_$(./\\^+<=;~µ-][^\x00-\x1f\x7f-\xa0\ufeff\u2028\u2029\ud800-\udfff\ufffe\uffff]*"
)
# Words that one YAML or another reads as something other than text.
_AMBIGUOUS: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<"])
_NUMBERISH: Final = re.compile(r"[-+.]?[0-9][0-9a-fA-FxXoOeE_.:+-]*|[-+]?\.(inf|nan)", re.IGNORECASE)
_UNSAFE_IN_BLOCK: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\xa0\ufeff\u2028\u2029\ud800-\udfff\ufffe\uffff]"
)


def dump(value: Mapping[str, Any]) -> str:
    """Write a mapping as one block-style document that ends in a newline."""
    return "\n".join(_mapping(value, 0)) + "\n"


def _mapping(value: Mapping[str, Any], indent: int) -> list[str]:
    lines: list[str] = []
    for key, inner in value.items():
        lines += _entry(" " * indent + _scalar(key) + ":", inner, indent)
    return lines


def _entry(head: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [head, *_mapping(value, indent + 2)]
    if isinstance(value, list | tuple) and value:
        return [head, *_sequence(value, indent + 2)]
    if isinstance(value, str) and _blockable(value):
        mark = "|" if value.endswith("\n") else "|-"
        body = value.removesuffix("\n").split("\n")
        return [f"{head} {mark}", *(" " * (indent + 2) + line if line else "" for line in body)]
    return [f"{head} {_inline(value)}"]


def _sequence(value: Sequence[Any], indent: int) -> list[str]:
    lines: list[str] = []
    dash = " " * indent + "-"
    for item in value:
        if isinstance(item, Mapping) and item:
            inner = _mapping(item, indent + 2)
            lines += [dash + " " + inner[0][indent + 2 :], *inner[1:]]
        else:
            lines += _entry(dash, item, indent)
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return json.dumps(value)


def _blockable(text: str) -> bool:
    """Whether a literal block gives the text back exactly and readably."""
    if "\n" not in text.rstrip("\n") and not (text.endswith("\n") and text.strip()):
        return False
    lines = text.split("\n")
    if not lines[0] or lines[0][0] in " \t" or text.endswith("\n\n"):
        return False
    return not _UNSAFE_IN_BLOCK.search(text)


def _scalar(text: str) -> str:
    if _is_plain(text):
        return text
    is_line = text and not _UNSAFE_IN_BLOCK.search(text) and "\n" not in text and "\t" not in text
    if is_line and ("'" not in text or '"' in text):
        return "'" + text.replace("'", "''") + "'"
    # A double-quoted scalar, escaped as YAML (not JSON) escapes.
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNSAFE_IN_BLOCK.sub(lambda m: f"\\u{ord(m.group()):04x}", quoted)


def _is_plain(text: str) -> bool:
    return bool(
        _PLAIN.fullmatch(text)
        and text == text.strip()
        and ": " not in text
        and " #" not in text
        and not text.endswith(":")
        and not text.startswith(("---", "...", "- "))
        and text != "-"
        and text.lower() not in _AMBIGUOUS
        and not _NUMBERISH.fullmatch(text)
        and yaml12.resolve_plain(text) == text
    )
