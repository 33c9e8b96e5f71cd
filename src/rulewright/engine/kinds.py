"""The node kinds and field names of each grammar, as the pinned binding knows them.

ast-grep tells whether a kind exists, but does not list them. `kinds.json`, written by
`tools/node_kinds.py`, lets messages suggest the right kind and the grammar of mode `rule` list all kinds.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from rulewright.languages import Language

FILE: Final = Path(__file__).with_name("kinds.json")


class Names(NamedTuple):
    """What a grammar can name."""

    kinds: tuple[str, ...]
    fields: tuple[str, ...]


@cache
def names(language: Language) -> Names:
    """The kinds and fields of a language, sorted."""
    entry = json.loads(FILE.read_text(encoding="utf-8"))[language]
    return Names(tuple(entry["kinds"].split()), tuple(entry["fields"].split()))
