"""`Action`: one or more ast-grep rules, however they were written.

Invariant: an `Action` holds only fields that have an effect (`files`, `ignores`,
`severity`, messages and ids are gone), as plain JSON-like data, in order. Whether
ast-grep accepts the rules is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from rulewright.languages import Language
from rulewright.verdict import Verdict

Mode = Literal["yaml", "cli", "rule"]
MODES: Final[tuple[Mode, ...]] = ("yaml", "cli", "rule")

# The fields of a rule file that decide what it does (facts: ast-grep 0.51).
EFFECTIVE_FIELDS: Final = ("rule", "utils", "constraints", "transform", "rewriters", "fix")

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
    """

    language: Language
    rules: tuple[Rule, ...]
    mode: Mode = "yaml"
    notes: str = ""

    def __hash__(self) -> int:
        return hash((self.language, self.rules_json()))

    def rules_json(self) -> str:
        """The rules as one JSON text, keys in the order given: a cache key, not a normal form."""
        return json.dumps(list(self.rules), ensure_ascii=False)
