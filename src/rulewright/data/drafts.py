"""The result of reading a source's row, before cleaning: a `Draft`, or a `Drop` with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rulewright.languages import Language


@dataclass(frozen=True)
class Drop:
    """A row that becomes no record, and why."""

    reason: str
    """One word to count by, e.g. `empty_pre`."""
    detail: str = ""
    """One line for the user."""


@dataclass(frozen=True)
class Draft:
    """An edit as a source tells it; nothing about it is checked yet."""

    instruction: str
    pre: str
    post: str
    group: str
    language: Language = "other"
    """As declared by the source; the path's extension counts more (see `clean`)."""
    license: str = ""
    path: str = ""
    repo: str = ""
    commits: tuple[str, ...] = ()
    """Commits this edit stems from; none of them may straddle splits."""
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further metadata, kept as it is."""
