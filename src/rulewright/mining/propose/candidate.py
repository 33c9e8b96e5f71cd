"""A guessed rule, what it was made from, and how much it is liked.

Nothing here knows whether a candidate is right (`soundness`, `search`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from rulewright.actions import visit
from rulewright.mining import costs
from rulewright.mining.rules import reading
from rulewright.mining.text.lift import Lifted
from rulewright.mining.text.tree import Node

Shape = Literal[
    "pattern", "transform", "delete", "insert", "rewrite", "lexical", "sequence", "table", "literal", "run"
]
LITERAL_SHAPES: Final = frozenset({"literal", "run"})
"""Shapes that repeat statements as they stand."""
LONG_SHAPES: Final = frozenset({"sequence", "table"})
"""Shapes of general rules that say at once what several smaller ones say, where these are not too many."""

MAX_ANCHOR_CHARS: Final = 2_500
SNIPPET_CHARS: Final = 12
"""Characters of a usual snippet around a pattern, which nobody reads."""
COMPACT_CHARS: Final = 400
"""A rule of at most so many characters of JSON is compact."""
SHORT_TOKENS: Final = 80
"""A rule of at most so many words, signs and variables can be read at a glance."""

_NOT_READ: Final = frozenset({"field", "id", "kind", "selector", "stopBy"})


@dataclass(frozen=True)
class Candidate:
    """A rule to be judged, and what it was made from."""

    rule: dict[str, Any]
    shape: Shape
    anchor: Node
    kind: str
    """The node kind that the rule matches."""
    hunks: frozenset[int]
    extra_cost: float = 0.0
    lifted: Lifted | None = None
    inserts: bool = False
    """Whether whole lines come in beside code that stays as it is."""
    adds: bool = False
    """Whether nothing is taken away."""
    blanks: bool = False
    """Whether only blanks change; in a comment, what frames its text counts as such."""

    @cached_property
    def key(self) -> str:
        return _json(self.rule)

    @property
    def is_short(self) -> bool:
        """Whether what the rule says can be read at a glance, without the places that it keeps out of.

        Neither how its JSON is written nor how long its names are counts.
        """
        matcher = {key: value for key, value in self.rule["rule"].items() if key != "not"}
        texts = visit.texts({**self.rule, "rule": matcher}, skip=_NOT_READ)
        return sum(len(visit.tokens(text)) for _, text in texts) <= SHORT_TOKENS

    @cached_property
    def n_vars(self) -> int:
        """Variables that whoever reads the rule has to follow, those of each rewriter for themselves."""
        parts = (self.rule, *self.rule.get("rewriters", ()))
        return sum(len(visit.bound(part["rule"])) for part in parts)

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
        base = costs.BASE[self.shape]
        doubt = costs.VAGUE_INSERT if self.adds else costs.VAGUE
        if self.is_token:
            base, doubt = costs.TOKEN, costs.VAGUE_TOKEN
        vague = max(0.0, costs.ENOUGH_BITS - self.bits) * doubt
        crowd = costs.PER_CROWDED_VARIABLE * max(0, self.n_vars - costs.FEW_VARIABLES)
        # Characters that a person has to read: patterns and fixes, wrappers left out.
        n_chars = sum(
            max(0, len(text) - SNIPPET_CHARS) if key == "context" else len(text) + costs.PER_TEXT
            for key, text in visit.texts(self.rule, skip=frozenset({"selector"}))
        )
        return base + costs.PER_40_CHARS * n_chars / 40 + vague + crowd + self.extra_cost

    def priced_as(self, other: Candidate, more: float = 0.0) -> Candidate:
        """This rule at another's price: it says the same, though in more words."""
        return replace(self, extra_cost=self.extra_cost + other.cost + more - self.cost)

    @property
    def is_token(self) -> bool:
        """Whether it replaces one token by another; a text of several words is none."""
        return self.shape == "lexical" and not self.anchor.children and not self.is_prose

    @cached_property
    def is_prose(self) -> bool:
        """Whether the matched token holds blanks: a comment, or the text of a string."""
        return not self.anchor.children and " " in self.anchor.sg.text().strip()

    @property
    def generalizes(self) -> bool:
        return self.shape not in LITERAL_SHAPES


class Effect(NamedTuple):
    """What a rule does to a text, against what should become of it."""

    hunks: frozenset[int]
    positives: tuple[tuple[int, int], ...]
    """Spans of the matched nodes whose replacement is what the edit made."""
    negatives: tuple[tuple[int, int], ...]
    text: str
    """The whole text after the rule."""

    @property
    def is_sound(self) -> bool:
        return bool(self.hunks) and not self.negatives


def _json(rule: Mapping[str, Any]) -> str:
    return json.dumps(rule, ensure_ascii=False, sort_keys=True)
