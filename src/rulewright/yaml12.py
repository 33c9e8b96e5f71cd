"""A YAML 1.2 reader on libyaml, for configurations and rules.

`no`, `on`, `yes` are text, `1e-4` is a number, duplicate and merge keys are
refused. It builds plain data only (no tags, no objects) and keeps, where asked,
the line of every key. Bounds on size, depth and alias expansion are the caller's
to choose; none is ever unbounded by accident.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from rulewright.errors import first_line

try:
    from yaml import CSafeLoader as _BaseLoader
except ImportError:  # pragma: no cover  (a PyYAML built without libyaml)
    from yaml import SafeLoader as _BaseLoader  # type: ignore[assignment]

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]


class YamlError(ValueError):
    """Text that is not the YAML we take; `line` is 1-based, 0 where unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class BoundError(YamlError):
    """YAML that exceeds one of our limits."""


@dataclass(frozen=True)
class Bounds:
    """Limits that hold while reading (characters, nesting levels, nodes after alias expansion)."""

    max_chars: int = 1_000_000
    max_depth: int = 64
    max_nodes: int = 50_000


# YAML 1.2 core schema, https://yaml.org/spec/1.2.2/#103-core-schema
_NULL: Final = {"", "~", "null", "Null", "NULL"}
_TRUE: Final = {"true", "True", "TRUE"}
_FALSE: Final = {"false", "False", "FALSE"}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_OCT: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF: Final = re.compile(r"[-+]?\.(inf|Inf|INF)")


def resolve_plain(text: str) -> Scalar:
    """Give the value of a plain (unquoted) scalar under the 1.2 core schema.

    >>> resolve_plain("no"), resolve_plain("1e-4"), resolve_plain("0o17"), resolve_plain("~")
    ('no', 0.0001, 15, None)
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 4000 else float(text)
    if _OCT.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INF.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    if text in {".nan", ".NaN", ".NAN"}:
        return math.nan
    return text


class _Loader(_BaseLoader):
    """libyaml's parser with none of YAML 1.1's implicit types."""


# Marks scalars that carry neither quotes nor a tag; no text can write a tag with a space.
_PLAIN_TAG: Final = "plain scalar"
_Loader.yaml_implicit_resolvers = {None: [(_PLAIN_TAG, re.compile(""))]}


_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_CORE_TAGS: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
}


class _Builder:
    """Turns composed nodes into plain data within the bounds, noting key lines."""

    def __init__(self, bounds: Bounds, lines: dict[Path, int] | None, text_keys: bool) -> None:
        self._bounds = bounds
        self._lines = lines
        self._text_keys = text_keys
        self._nodes = 0

    def build(self, node: yaml.Node, path: Path = ()) -> Any:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > self._bounds.max_nodes:
            raise BoundError(f"more than {self._bounds.max_nodes} nodes (after aliases)", line)
        if len(path) > self._bounds.max_depth:
            raise BoundError(f"nested deeper than {self._bounds.max_depth} levels", line)
        _check_tag(node, line)
        match node:
            case yaml.ScalarNode():
                return _scalar(node)
            case yaml.SequenceNode():
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            case yaml.MappingNode():
                return self._mapping(node, path)
        raise YamlError(f"unexpected node {node.tag}", line)  # pragma: no cover

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError("a key must be plain text", line)
            key = key_node.value
            if key == "<<" and not key_node.style:
                raise YamlError("merge keys (<<) are not supported", line)
            if self._text_keys and path[:1] != ("metadata",) and not isinstance(_scalar(key_node), str):
                raise YamlError(f"a key must be text: quote {key!r}", line)
            _check_tag(key_node, line)
            if key in result:
                raise YamlError(f"duplicate key {key!r}", line)
            if self._lines is not None:
                self._lines[(*path, key)] = line
            result[key] = self.build(value_node, (*path, key))
        return result


def _check_tag(node: yaml.Node, line: int) -> None:
    if node.tag != _PLAIN_TAG and node.tag not in _CORE_TAGS:
        raise YamlError(f"unsupported tag {node.tag}", line)


def _scalar(node: yaml.ScalarNode) -> Scalar:
    """A quoted scalar is text, and so is one tagged `!!str`."""
    value: str = node.value
    return value if node.style or node.tag == _TEXT_TAG else resolve_plain(value)


def load_all(
    text: str,
    bounds: Bounds | None = None,
    lines: dict[Path, int] | None = None,
    *,
    text_keys: bool = False,
) -> list[Any]:
    """Read every document of a YAML text as plain data.

    Args:
        text: the YAML (JSON is YAML too).
        bounds: limits; the defaults suit configuration files.
        lines: if given, filled with the 1-based line of every key, by path
            (of the first document).
        text_keys: refuse plain keys that are not text (`1:`, `true:`), as ast-grep does
            except under `metadata`; otherwise such a key counts as its text.

    Raises:
        YamlError: not YAML, or beyond a bound; with the line.
    """
    bounds = bounds or Bounds()
    if len(text) > bounds.max_chars:
        raise BoundError(f"longer than {bounds.max_chars} characters ({len(text)})")
    try:
        documents: list[Any] = []
        loader = _Loader(text)
        try:
            while loader.check_node():
                node = cast(yaml.Node, loader.get_node())
                keep = lines if not documents else None
                documents.append(_Builder(bounds, keep, text_keys).build(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error):
            raise BoundError("nested too deeply") from error
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        said = error.problem or str(error)
        if "cannot start any token" in said and "\t" in "".join(text.splitlines()[line - 1 : line]):
            said += ": a tab, and YAML is indented by blanks"
        raise YamlError(said, line) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(first_line(error)) from error
    return documents


def load(text: str, bounds: Bounds | None = None, lines: dict[Path, int] | None = None) -> Any:
    """Read one YAML document; `None` for an empty text. Raises `YamlError` on several."""
    documents = load_all(text, bounds, lines)
    if len(documents) > 1:
        raise YamlError("expected one document, got several")
    return documents[0] if documents else None
