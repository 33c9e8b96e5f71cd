"""The README of a checkpoint, a pure function of the run's files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePath
from typing import Any

from rulewright import jsonl
from rulewright.runs import RunDir
from rulewright.training.config import SftConfig


def write(config: SftConfig, result: Mapping[str, Any], run: RunDir) -> None:
    """Render `README.md` beside the weights."""
    jsonl.write_text(config.out / "README.md", render(config, result, run.facts()))


def render(config: SftConfig, result: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Fill the template with what was asked, done and measured."""
    return fill("card.md.jinja", config=config, result=result, facts=facts)


def fill(template: str, **values: Any) -> str:
    """Render a card of this package; paths of the machine are cut to their names."""
    import jinja2

    text = (resources.files("rulewright.training") / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["shown"] = shown
    command = shlex.join(shown(part) for part in shlex.split(values["facts"]["command"]))
    return environment.from_string(text).render(command=command, **values)


def shown(text: object) -> str:
    """A word as it may be published: of an absolute path, its name.

    >>> shown("/home/me/data/train.jsonl"), shown("--out=/tmp/x"), shown("models/a"), shown("a/b c")
    ('train.jsonl', '--out=x', 'models/a', 'a/b c')
    """
    flag, equals, value = str(text).rpartition("=")
    return f"{flag}{equals}{PurePath(value).name}" if PurePath(value).is_absolute() else str(text)
