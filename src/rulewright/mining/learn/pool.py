"""The sound candidates for one edit variant, and which other candidates are still worth trying."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rulewright import grammars
from rulewright.mining import costs
from rulewright.mining.judge.price import is_module_path
from rulewright.mining.propose import proposals
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.rules.reading import old_text
from rulewright.mining.text.align import Edit


@dataclass(frozen=True)
class SoundCandidate:
    """A candidate that is sound on its text, with what it did there."""

    candidate: Candidate
    effect: Effect

    @property
    def hunks(self) -> frozenset[int]:
        return self.effect.hunks


def rank(found: SoundCandidate) -> tuple[float, str]:
    """Sort key, best first: by cost, then by text."""
    return found.candidate.cost, found.candidate.key


@dataclass
class CandidatePool:
    """The sound candidates so far."""

    edit: Edit
    quoted: frozenset[str] = frozenset()
    """Names that the instruction quotes; they stay literal."""
    sound: list[SoundCandidate] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    places: proposals.Places = field(default_factory=set)
    """Anchors, each with the hunks inside, that have a sound pattern already."""
    prices: dict[int, float] = field(default_factory=dict)
    """The lowest cost of a readable rule for each hunk."""

    def add(self, found: SoundCandidate) -> None:
        """Add a sound candidate."""
        self.sound.append(found)
        candidate = found.candidate
        if candidate.shape == "pattern" and found.hunks >= candidate.hunks:
            self.places.add((candidate.anchor.index, candidate.hunks))
            if candidate.bits >= costs.ENOUGH_BITS and candidate.extra_cost < costs.ALL_NAMES_OPEN:
                self.places.add((proposals.ANYWHERE, candidate.hunks))
        # In a change by hand, several different changes on several lines need small rules of their own.
        wide = not self.edit.strict and len(found.hunks) > 1 and "\n" in old_text(candidate.rule)
        for number in found.hunks if candidate.is_short and not wide else ():
            self.prices[number] = min(self._price(number), candidate.cost)

    def _price(self, number: int) -> float:
        return self.prices.get(number, math.inf)

    def is_solved(self, number: int) -> bool:
        """Whether a hunk has a good rule."""
        return self._price(number) <= costs.GOOD

    def is_enough(self, number: int) -> bool:
        """Whether literal rules and runs for a hunk are no longer worth trying."""
        return self._has_general(costs.TELLING) or (number > 0 and self.is_solved(number))

    def wants(self, candidate: Candidate, number: int) -> bool:
        """Whether a candidate is new and could be chosen: cheaper, or for more hunks, than those so far."""
        if candidate.key in self.seen:
            return False
        if candidate.shape == "lexical":
            # Not if its anchor has a pattern that keeps the names already.
            return candidate.is_token or not any(
                f.candidate.shape == "pattern"
                and f.candidate.anchor is candidate.anchor
                and f.candidate.hunks == candidate.hunks
                and f.candidate.extra_cost < costs.ALL_NAMES_OPEN
                for f in self.sound
            )
        if candidate.generalizes:
            return True
        if candidate.shape in ("run", "sequence") and self._has_general():
            return False
        if min((f.candidate.cost for f in self.full()), default=math.inf) < candidate.cost:
            return False
        return len(candidate.hunks) > 1 or self._price(number) > candidate.cost

    def _has_general(self, cost: float = math.inf) -> bool:
        """Whether a general rule with variables, at most at this cost, covers every hunk."""
        every = len(self.edit.hunks)
        return any(
            len(f.hunks) == every
            and f.candidate.generalizes
            and f.candidate.n_vars
            and f.candidate.cost <= cost
            for f in self.sound
        )

    def full(self) -> list[SoundCandidate]:
        """The candidates that cover every hunk, best first."""
        every = len(self.edit.hunks)
        full = [f for f in self.sound if len(f.hunks) == every]
        narrow = [f for f in full if _stands_alone(f.candidate)]
        wide = {f.candidate.key for f in full if any(_adds_nothing(f, g) for g in narrow)}
        return sorted(
            full, key=lambda f: (f.candidate.cost + costs.AROUND * (f.candidate.key in wide), rank(f))
        )


def _adds_nothing(wide: SoundCandidate, narrow: SoundCandidate) -> bool:
    """Whether a pattern only adds to a smaller one the code around it."""
    if wide.candidate.shape not in ("pattern", "lexical"):
        return False
    outer, inner = wide.candidate.anchor, narrow.candidate.anchor
    inside = outer.start <= inner.start and inner.end <= outer.end and outer.size > inner.size
    return inside and narrow.candidate.words <= wide.candidate.words


def _stands_alone(candidate: Candidate) -> bool:
    """Whether a rule is specific enough without the code around it.

    A single token is not, nor is a part of a name, an argument or a module: what these mean depends on the
    call or import.
    """
    is_part = candidate.is_token or is_module_path(candidate.anchor)
    if is_part or candidate.adds or not candidate.generalizes:
        return False
    if candidate.shape == "transform" and grammars.NAME.search(candidate.kind):
        return False
    near = (candidate.anchor, candidate.anchor.parent)
    named = not any(node is not None and grammars.ARGUMENTS.search(node.kind) for node in near)
    return named and candidate.bits >= costs.TELLING_BITS
