"""Render `rulewright COMMAND --help`: description, examples and arguments, for any terminal width.

It is generated from the command's configuration class, so it cannot be wrong. It parses nothing.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import tyro
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rulewright import console

_MARGIN: Final = 22
_WORDS: Final[dict[Any, str]] = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH", bool: "yes|no"}
_BY_NAME: Final[dict[str, str]] = {
    "model": "MODEL", "models": "MODEL", "base": "MODEL", "base_url": "URL", "name": "NAME", "by": "FIELD",
    "license": "SPDX-ID", "allow_licenses": "SPDX-ID", "language": "LANGUAGE", "hub_languages": "LANGUAGE",
    "tags": "TAG", "without_tags": "TAG", "families": "FAMILY", "tiers": "TIER", "layouts": "LAYOUT",
    "columns": "OURS=THEIRS", "compare": "EARLIER:LATER", "metric": "FIELD", "revision": "REVISION",
    "python": "PYTHON", "input": "PATH", "against": "PATH", "clones": "PATH", "like": "CHANGE",
    "from_diff": "FILE", "only": "FILE:LINE", "host": "ADDRESS", "where": "IMAGE", "vllm": "PROGRAM",
    "attention": "NAME", "baseline": "METHOD", "max_usd": "USD", "near_threshold": "SHARE",
    "fractions": "SHARE", "generality": "SHARE", "margin": "SHARE", "memory_gib": "GIB", "sandbox": "TIER",
}  # fmt: skip
"""What the value of an option is, by the option's name: it is the same for every command."""
_BY_UNIT: Final[dict[str, str]] = {
    "_s": "SECONDS", "_usd_per_mtok": "USD", "_share": "SHARE", "_rate": "SHARE",
}  # fmt: skip
# What a wrong value is told to be.
_KINDS: Final[dict[str, str]] = {"N": "a whole number", "NUMBER": "a number", "yes|no": "yes or no"}


SHARED: Final = ("workers", "engine", "resume", "overwrite", "json_output")
"""What several commands take alike."""


class HelpOption(NamedTuple):
    """One argument of a command, as the user types it."""

    field: str
    names: str
    """`--limit N`, `--resume`, or of a positional argument its name: `PATH...`."""
    positional: bool
    required: bool
    about: str
    default: str
    """Empty where saying it tells nothing."""


def page(
    cls: type[BaseModel], defaults: Mapping[str, Any], prog: str, text: str, examples: Sequence[str] = ()
) -> str:
    """The whole page.

    Args:
        cls: the command's configuration.
        defaults: value of each field where no flag is given; missing ones are required.
        prog: `rulewright mine`.
        text: the command's docstring: a line, then paragraphs.
        examples: command lines, without `rulewright`.
    """
    found = list(options(cls, defaults))
    positional = [one for one in found if one.positional]
    usage = " ".join([prog, *(one.names if one.required else f"[{one.names}]" for one in positional)])
    first, *rest = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    lines = [*_fill(f"usage: {usage} [options]", " " * 7), "", *_fill(first)]
    if examples:
        # Not wrapped: they are to be copied.
        lines += ["", _title("examples:"), *(f"  rulewright {example}" for example in examples)]
    for paragraph in rest:
        lines += ["", *_fill(paragraph)]
    if positional:
        lines += ["", _title("arguments:"), *_listing(positional)]
    flags = [one for one in found if not one.positional]
    lines += ["", _title("options:"), *_listing([*flags, *_common(cls)])]
    return "\n".join(lines)


def options(cls: type[BaseModel], defaults: Mapping[str, Any]) -> Iterator[HelpOption]:
    """The arguments of a configuration, but for those that only a file can give; shared ones last."""
    for name, field in sorted(cls.model_fields.items(), key=lambda item: item[0] in SHARED):
        if file_only(field):
            continue
        default = defaults.get(name, PydanticUndefined)
        required = default is PydanticUndefined
        positional = is_positional(field)
        flag = flag_name(name, field)
        if positional:
            names = metavar(name, field)
        elif is_switch(field):
            names = flag if default is False else f"{flag}, --no-{flag[2:]}"
        else:
            names = f"{flag} {metavar(name, field)}"
        about = " ".join((field.description or "").split())
        shown = "" if required else _shown(default)
        yield HelpOption(name, names, positional, required, about, shown)


def file_only(field: FieldInfo) -> bool:
    """Whether a value has no flag of its own (a list, a mapping): in the file, or by `--set`."""
    return tyro.conf.Fixed in field.metadata


def metavar(name: str, field: FieldInfo) -> str:
    """A value in plain words: `N`, `PATH`, `fast|slow`, `TEXT...`; of a positional its name."""
    inner, many = _inner(_bare(field.annotation))
    noted = next((note.metavar for note in field.metadata if getattr(note, "metavar", None)), None)
    words = _words(inner)
    if noted or is_positional(field):
        word = noted or name.upper()
    elif words in (["TEXT"], ["NUMBER"]):
        unit = next((unit for end, unit in _BY_UNIT.items() if name.endswith(end)), words[0])
        word = _BY_NAME.get(name, unit)
    else:
        word = "|".join(words)
    return f"{word} ..." if many == 1 and not word.endswith("...") else " ".join([word] * max(many, 1))


def expected(cls: type[BaseModel], name: str) -> list[str]:
    """What a field's value must be, for a message: one of some words, or `a whole number`."""
    inner, _ = _inner(_bare(cls.model_fields[name].annotation))
    return [_KINDS.get(word, word) for word in _words(inner)]


def n_values(field: FieldInfo) -> int:
    """How many values an option takes: 0 a single one, 1 any number, else just so many."""
    return _inner(_bare(field.annotation))[1]


def is_switch(field: FieldInfo) -> bool:
    """Whether it is turned on by its bare name: `--resume`; also where unset is a third state."""
    return bool in (field.annotation, *typing.get_args(field.annotation)) and set(
        typing.get_args(field.annotation)
    ) <= {bool, type(None)}


def has_unset(field: FieldInfo) -> bool:
    """Whether it is a switch that may be on, off, or not set."""
    return is_switch(field) and field.annotation is not bool


def flag_name(name: str, field: FieldInfo) -> str:
    """`--json` for `json_output`, `--max-usd` for `max_usd`."""
    noted = next((note.name for note in field.metadata if getattr(note, "name", None)), None)
    return "--" + str(noted or name).replace("_", "-")


def is_positional(field: FieldInfo) -> bool:
    """Whether it is given by its place, not by a flag."""
    return tyro.conf.Positional in field.metadata


def _bare(annotation: Any) -> Any:
    """A type without its notes and without `None`."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kept = tuple(_bare(part) for part in typing.get_args(annotation) if part is not type(None))
        return kept[0] if len(kept) == 1 else typing.Union[kept]  # noqa: UP007
    return annotation


def _inner(annotation: Any) -> tuple[Any, int]:
    """What a sequence holds and how many of it: 0 a single value, 1 any number, else just so many."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        return (_bare(arguments[0]), 1 if arguments[-1] is Ellipsis else len(arguments))
    if typing.get_origin(annotation) is list:
        return _bare(arguments[0]), 1
    return annotation, 0


def _words(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        return [str(value) for value in typing.get_args(annotation)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [word for part in typing.get_args(annotation) for word in _words(_bare(part))]
    return [_WORDS.get(annotation, "TEXT")]


def _shown(default: Any) -> str:
    if default is True:
        return "on"
    if default is False or default is None or default in ("", (), []):
        return ""
    if isinstance(default, tuple | list):
        return " ".join(str(item) for item in default)
    return str(default)


def _common(cls: type[BaseModel]) -> Iterator[HelpOption]:
    """What every command takes."""
    if not cls.model_fields:
        return
    yield HelpOption(
        "", "--config FILE", False, False, "YAML file with defaults, or a name from `rulewright configs`.", ""
    )
    nested = [name for name, field in cls.model_fields.items() if file_only(field)]
    only = f" Only in the file or with --set: {', '.join(nested)}." if nested else ""
    yield HelpOption(
        "", "--set KEY.PATH=VALUE", False, False,
        f"Set one value of the configuration, at any depth.{only}", "",
    )  # fmt: skip
    yield HelpOption("", "-h, --help", False, False, "Show this help.", "")


def _listing(found: Sequence[HelpOption]) -> Iterator[str]:
    margin = _MARGIN if console.width() >= 60 else 8
    for one in found:
        about = one.about + (f" [{one.default}]" if one.default else "")
        head = f"  {one.names}"
        lines = _fill(about, " " * margin, " " * margin)
        if len(head) + 2 > margin:
            yield from _fill(head.strip(), " " * 4, "  ")
        else:
            lines[:1] = [head.ljust(margin) + lines[0].lstrip()] if lines else [head]
        yield from lines


def _title(text: str) -> str:
    return console.paint(text, "bold", sys.stdout)


def _fill(text: str, later: str = "", first: str = "") -> list[str]:
    return console.wrap(text, first, later).splitlines()
