"""`Action`: one or more ast-grep rules, however they were written.

Invariant: an `Action` has only fields with an effect (`files`, `ignores`, `severity` and messages are
removed), as plain JSON-like data, in order. It does not say whether ast-grep accepts the rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rulewright.languages import Language
from rulewright.verdict import Verdict

Mode = Literal["yaml", "cli", "rule"]
MODES: Final[tuple[Mode, ...]] = ("yaml", "cli", "rule")

# The fields of a rule file that decide what it does (facts: ast-grep 0.51).
EFFECTIVE_FIELDS: Final = ("rule", "utils", "constraints", "transform", "rewriters", "fix")

DEFAULT_ID: Final = "rule"
MAX_ID_CHARS: Final = 200

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Rejection:
    """Text that is not an action, and why."""

    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Action:
    """ast-grep rules to apply one after another to code of one language.

    Args:
        language: of every rule.
        rules: each with keys among `EFFECTIVE_FIELDS` only; JSON-like values.
        mode: the form it was written in, and the default form to render.
        notes: free text of the writer; no effect.
        ids: the name of each rule; decides only which `ast-grep-ignore: id` comments
            hold for it. Empty means `rule` for all. Two actions that differ in ids
            alone are equal.
    """

    language: Language
    rules: tuple[Rule, ...]
    mode: Mode = "yaml"
    notes: str = ""
    ids: tuple[str, ...] = field(default=(), compare=False)

    def __hash__(self) -> int:
        # Equal rules may have their keys in another order.
        return hash((self.language, json.dumps(self.rules, sort_keys=True)))

    def rules_json(self) -> str:
        """The rules as one JSON text, keys in the order given: a cache key, not a normal form."""
        return json.dumps(list(self.rules), ensure_ascii=False)

    def id_of(self, index: int) -> str:
        """The id of a rule: one printable line, no file name.

        >>> Action("python", ({"rule": {"kind": "pass_statement"}},), ids=("@crew/no.trace",)).id_of(0)
        '@crew/no.trace'
        """
        return safe_id(self.ids[index]) if index < len(self.ids) else DEFAULT_ID


def safe_id(text: str) -> str:
    """Give the id back if it is one short printable line; else the default id.

    Comments that suppress a rule name it so, whatever characters it has.
    """
    return text if 0 < len(text) <= MAX_ID_CHARS and text.isprintable() else DEFAULT_ID
