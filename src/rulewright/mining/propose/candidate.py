"""A candidate: a guessed rule, what it was made from, and its cost.

Whether a candidate is right is decided elsewhere (`judge.soundness`, `learn.search`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from rulewright.actions import visit
from rulewright.mining import costs
from rulewright.mining.rules import reading
from rulewright.mining.text.lift import Lifted
from rulewright.mining.text.tree import Node

Shape = Literal["pattern", "transform", "delete", "insert", "lexical", "sequence", "literal", "run"]
LITERAL_SHAPES: Final = frozenset({"literal", "run"})
"""Shapes of rules that spell out long code without variables."""

MAX_ANCHOR_CHARS: Final = 2_500
SNIPPET_CHARS: Final = 12
"""Characters of a usual snippet around a pattern; they do not count for the cost."""
COMPACT_CHARS: Final = 400
"""Largest size of a compact rule, in characters of JSON."""
SHORT_TOKENS: Final = 80
"""Most words, signs and variables of a rule that can be read at a glance."""

_NOT_READ: Final = frozenset({"field", "id", "kind", "selector", "stopBy"})


@dataclass(frozen=True)
class Candidate:
    """A rule to judge, and what it was made from."""

    rule: dict[str, Any]
    shape: Shape
    anchor: Node
    kind: str
    """Node kind that the rule matches."""
    hunks: frozenset[int]
    extra_cost: float = 0.0
    lifted: Lifted | None = None
    inserts: bool = False
    """Whether the rule only inserts whole lines."""
    adds: bool = False
    """Whether the rule removes nothing."""
    blanks: bool = False
    """Whether only blanks change; in a comment, its signs count as blanks."""

    @cached_property
    def key(self) -> str:
        """The rule as text: equal for equal rules."""
        return json.dumps(self.rule, ensure_ascii=False, sort_keys=True)

    @property
    def is_short(self) -> bool:
        """Whether the rule, without its `not`, can be read at a glance, however long its names are."""
        matcher = {key: value for key, value in self.rule["rule"].items() if key != "not"}
        texts = visit.texts({**self.rule, "rule": matcher}, skip=_NOT_READ)
        return sum(len(visit.tokens(text)) for _, text in texts) <= SHORT_TOKENS

    @cached_property
    def n_vars(self) -> int:
        """Variables that a reader has to follow."""
        return len(visit.bound(self.rule["rule"]))

    @cached_property
    def bits(self) -> float:
        """How specific the rule is, in bits (`reading.bits`)."""
        return reading.bits(self.rule)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words and signs of what the rule matches."""
        return reading.words(self.rule)

    @cached_property
    def cost(self) -> float:
        """Points; lower is better: short, named, not too general."""
        base = costs.BASE[self.shape]
        doubt = costs.VAGUE_INSERT if self.adds else costs.VAGUE
        if self.is_token:
            base, doubt = costs.TOKEN, costs.VAGUE_TOKEN
        vague = max(0.0, costs.ENOUGH_BITS - self.bits) * doubt
        crowd = costs.PER_CROWDED_VARIABLE * max(0, self.n_vars - costs.FEW_VARIABLES)
        # Characters that a reader sees: patterns and fixes without their snippets.
        n_chars = sum(
            max(0, len(text) - SNIPPET_CHARS) if key == "context" else len(text) + costs.PER_TEXT
            for key, text in visit.texts(self.rule, skip=frozenset({"selector"}))
        )
        return base + costs.PER_40_CHARS * n_chars / 40 + vague + crowd + self.extra_cost

    def priced_as(self, other: Candidate, more: float = 0.0) -> Candidate:
        """This rule at the cost of another one that says the same in fewer words."""
        return replace(self, extra_cost=self.extra_cost + other.cost + more - self.cost)

    @property
    def is_token(self) -> bool:
        """Whether it replaces one token; a text of several words is not a token."""
        return self.shape == "lexical" and not self.anchor.children and not self.is_prose

    @cached_property
    def is_prose(self) -> bool:
        """Whether it matches a token with blanks: a comment, or the text of a string."""
        return not self.anchor.children and " " in self.anchor.sg.text().strip()

    @property
    def generalizes(self) -> bool:
        return self.shape not in LITERAL_SHAPES


class Effect(NamedTuple):
    """What a rule does to a text, compared with what the edit did."""

    hunks: frozenset[int]
    positives: tuple[tuple[int, int], ...]
    """Spans of the matches that the rule changes as the edit did."""
    negatives: tuple[tuple[int, int], ...]
    """Spans of the matches that it changes in another way."""
    text: str
    """The whole text after the rule."""

    @property
    def is_sound(self) -> bool:
        return bool(self.hunks) and not self.negatives
