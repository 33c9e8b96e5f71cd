"""A guessed rule, what it was made from, and how much it is liked.

Nothing here knows whether a candidate is right (`soundness`, `search`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from rulewright.actions import visit
from rulewright.mining import reading
from rulewright.mining.text.lift import Lifted
from rulewright.mining.text.tree import Node

Shape = Literal["pattern", "transform", "delete", "insert", "rewrite", "lexical", "literal", "run"]

MAX_ANCHOR_CHARS: Final = 2_500
ENOUGH_BITS: Final = 10.0

VAGUE_COST: Final = 0.06
"""For each bit that a rule asks too little."""
VAGUE_INSERT_COST: Final = 0.4
"""The same where nothing is taken away: then only the surroundings say where."""
VAGUE_TOKEN_COST: Final = 0.08
BASE_COST: Final[dict[Shape, float]] = {
    "pattern": 1.0, "transform": 1.5, "delete": 2.0, "insert": 2.2, "rewrite": 2.5,
    "lexical": 1.8, "literal": 6.0, "run": 8.0,
}  # fmt: skip


COMPACT_CHARS: Final = 400
"""A rule of at most so many characters of JSON is compact."""
TOKEN_COST: Final = 0.6
"""A single token replaced by another: what surrounds it cannot go wrong."""


@dataclass(frozen=True)
class Candidate:
    """A rule to be judged, and what it was made from."""

    rule: dict[str, Any]
    shape: Shape
    anchor: Node
    kind: str
    """The node kind that the rule matches."""
    hunks: frozenset[int]
    n_vars: int = 0
    extra_cost: float = 0.0
    lifted: Lifted | None = field(default=None, compare=False)
    inserts: bool = False
    """Whether whole lines come in beside code that stays as it is."""
    adds: bool = False
    """Whether nothing is taken away."""
    blanks: bool = False
    """Whether only blanks change."""

    @cached_property
    def key(self) -> str:
        return json.dumps(self.rule, ensure_ascii=False, sort_keys=True)

    @property
    def is_short(self) -> bool:
        """Whether the rule's JSON can be read at a glance."""
        return len(self.key) <= COMPACT_CHARS

    @cached_property
    def bits(self) -> float:
        """How much the rule asks of what it matches, in bits (rough)."""
        return reading.bits(self.rule)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words and signs that the rule asks for."""
        return reading.words(self.rule)

    @cached_property
    def cost(self) -> float:
        """Lower is better: short, named, not too general."""
        base = BASE_COST[self.shape]
        doubt = VAGUE_INSERT_COST if self.adds else VAGUE_COST
        if self.is_token:
            base, doubt = TOKEN_COST, VAGUE_TOKEN_COST
        vague = max(0.0, ENOUGH_BITS - self.bits) * doubt
        crowd = 0.5 * max(0, self.n_vars - 5)
        return base + 0.3 * _length(self.rule) / 40 + vague + crowd + self.extra_cost

    @property
    def is_token(self) -> bool:
        """Whether it replaces one token by another; a text of several words is none."""
        return self.shape == "lexical" and not self.anchor.children and not self.is_prose

    @cached_property
    def is_prose(self) -> bool:
        """Whether the matched token holds blanks: a comment, or the text of a string."""
        return not self.anchor.children and " " in self.anchor.sg.text().strip()

    @property
    def generalises(self) -> bool:
        return self.shape in ("pattern", "transform", "delete", "insert", "rewrite", "lexical")


def _length(rule: Mapping[str, Any]) -> int:
    """Characters that a person has to read: patterns and fixes, wrappers left out."""
    texts = visit.texts(rule, skip=frozenset({"selector"}))
    return sum(max(0, len(text) - 12) if key == "context" else len(text) + 4 for key, text in texts)
