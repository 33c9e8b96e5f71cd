"""The node kinds and field names of each grammar, as the pinned binding knows them.

ast-grep tells whether a kind exists but not which do; the names lie as strings in its
binary. `discover` tries them all and `kinds.json` holds what it found, so that messages
can say what was meant and the grammar of mode `rule` can list them.

To renew the file after an upgrade: `python -m rulewright.engine.kinds`.
"""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import ast_grep_py
from ast_grep_py import Config, SgNode, SgRoot

from rulewright.languages import LANGUAGES, Language

_FILE: Final = Path(__file__).with_name("kinds.json")
_NAME: Final = re.compile(rb"([a-z_][a-z0-9_]{0,60})\0")


class Names(NamedTuple):
    """What a grammar can name."""

    kinds: tuple[str, ...]
    fields: tuple[str, ...]


@lru_cache(maxsize=1)
def _all() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return loaded


def names(language: Language) -> Names:
    """The kinds and fields of a language, sorted."""
    entry = _all()[language]
    return Names(tuple(entry["kinds"].split()), tuple(entry["fields"].split()))


def discover(language: Language) -> Names:
    """Find every name that the binding accepts as a kind or a field. Takes some seconds."""
    root = SgRoot("", language).root()
    words = _words()
    kinds = [word for word in words if _accepts(root, {"rule": {"kind": word}})]
    fields = [
        word
        for word in words
        if _accepts(root, {"rule": {"kind": "ERROR", "has": {"regex": "x", "field": word}}})
    ]
    return Names(tuple(kinds), tuple(fields))


def _accepts(root: SgNode, config: dict[str, Any]) -> bool:
    try:
        root.find(cast(Config, config))
    except RuntimeError:
        return False
    return True


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    """Everything in the binding's binary that could be a name.

    A linker stores a string that ends another only once, so every ending counts.
    """
    found: set[str] = set()
    for path in Path(ast_grep_py.__file__).parent.glob("ast_grep_py*.so"):
        for run in _NAME.finditer(path.read_bytes()):
            word = run.group(1).decode("ascii")
            found |= {word[i:] for i in range(len(word)) if not word[i].isdigit()}
    return tuple(sorted(found))


def main() -> int:
    """Write `kinds.json` anew."""
    made = {}
    for language in LANGUAGES:
        if language != "other":
            found = discover(language)
            made[language] = {"kinds": " ".join(found.kinds), "fields": " ".join(found.fields)}
    _FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
