"""Transforms: read both forms; only `rewrite` is computed here.

The binding computes `substring`, `replace` and `convert` itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rulewright import yaml12
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.verdict import RuleFailed

KINDS: Final = ("substring", "replace", "convert", "rewrite")
CASES: Final = (
    "lowerCase", "upperCase", "capitalize", "camelCase", "snakeCase", "kebabCase", "pascalCase",
)  # fmt: skip
"""What `convert` can make of a text, by `toCase`."""
_SOURCE: Final = re.compile(r"\$\$\$([A-Z0-9_]+)|\$\$?([A-Z_][A-Z0-9_]*)")


@dataclass(frozen=True)
class Transform:
    """A transform whose result the binding gives."""

    variable: str
    """The name in `source`, without dollars."""
    multiple: bool
    """Whether it holds a list of nodes."""


@dataclass(frozen=True)
class Rewrite(Transform):
    """`rewrite`: rewriters applied inside a captured node or list."""

    rewriters: tuple[str, ...]
    join_by: str | None


Transforms = Mapping[str, Transform]


def read_transforms(value: Mapping[str, Any], where: str) -> dict[str, Transform]:
    """Read `transform:` in its object and string forms.

    Raises:
        RuleFailed: one is in neither; after `where`, the message says what it lacks.
    """
    return {name: _read(item, f"{where}transform `{name}`: ") for name, item in value.items()}


def _read(item: Any, where: str) -> Transform:
    if isinstance(item, str):
        kind, options = _split_call(item, where)
    elif isinstance(item, dict) and len(item) == 1:
        kind, options = next(iter(item.items()))
    else:
        raise RuleFailed(f"{where}expected one of {', '.join(KINDS)} with its options")
    if kind not in KINDS:
        raise RuleFailed(f"{where}no transform `{kind}`{did_you_mean(kind, KINDS)}")
    if not isinstance(options, dict) or not isinstance(options.get("source"), str):
        raise RuleFailed(f"{where}`{kind}` needs a text `source`")
    source = options["source"]
    found = _SOURCE.fullmatch(source)
    if found is None or (found.group(1) or found.group(2)).startswith("_"):
        # An anonymous variable makes ast-grep panic.
        raise RuleFailed(f"{where}`source` must be a named variable such as $A, got {quoted(source)}")
    variable, multiple = found.group(1) or found.group(2), found.group(1) is not None
    if kind != "rewrite":
        return Transform(variable, multiple)
    names = options.get("rewriters")
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise RuleFailed(f"{where}`rewrite` needs a list `rewriters`")
    join_by = options.get("joinBy")
    if join_by is not None and not isinstance(join_by, str):
        raise RuleFailed(f"{where}`joinBy` must be text")
    return Rewrite(variable, multiple, tuple(names), join_by)


def _split_call(text: str, where: str) -> tuple[str, dict[str, Any]]:
    """Read `rewrite($A, rewriters=[a, b], joinBy=', ')`."""
    kind, opened, rest = text.strip().partition("(")
    source, comma, rest = rest.rstrip(")").partition(",")
    if not opened or not comma:
        raise RuleFailed(f"{where}expected e.g. replace($A, replace=x, by=y), got {quoted(text)}")
    options: dict[str, Any] = {"source": source.strip()}
    rest = rest.strip()
    while rest:
        key, equals, after = rest.partition("=")
        if not equals:
            raise RuleFailed(f"{where}expected name=value, got {quoted(rest)}")
        after = after.lstrip()
        closing = {"'": "'", '"': '"', "[": "]"}.get(after[:1])
        if closing is None:
            end = after.find(",")
            end = len(after) if end < 0 else end
        else:
            end = after.find(closing, 1) + 1
            if end == 0:
                raise RuleFailed(f"{where}{quoted(after)} lacks its closing {closing}")
        value, rest = after[:end], after[end:]
        try:
            options[key.strip()] = yaml12.load(value)
        except yaml12.YamlError as error:
            raise RuleFailed(f"{where}`{key.strip()}`: {error}") from error
        rest = rest.lstrip().lstrip(",").strip()
    return kind.strip(), options
