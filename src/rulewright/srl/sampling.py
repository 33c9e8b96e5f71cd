"""Dynamic sampling: which groups of rollouts have a gradient, and the stream of new prompts.

A group whose rewards are all equal has no advantage and no gradient. Masking it shrinks the step;
replacing it by another prompt's group (refill) keeps the step whole (DAPO, arXiv 2503.14476; SRL, arXiv
2510.25992). Decisions only: no torch, no model.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import pstdev
from typing import Literal

from pydantic import Field

from rulewright.config import Section


class SamplingConfig(Section):
    """How groups are kept and replaced."""

    enabled: bool = True
    """Replace groups that teach nothing; off: train on every group as it comes."""
    epsilon: float = Field(default=0.01, ge=0)
    """A group is kept if its rewards differ by more than this."""
    criterion: Literal["range", "std"] = "range"
    """range: max - min, which sees a lone gain of 0.03 among eight; std: as in the SRL paper."""
    max_rounds: int = Field(default=3, ge=1)
    """Generations per batch at most, the first included; then train on what there is."""
    max_flat_batches: int = Field(default=5, ge=1)
    """Stop after so many batches in a row without a single group to keep."""


def is_informative(rewards: Sequence[float], config: SamplingConfig) -> bool:
    """Whether the rewards of one whole group differ enough to learn from.

    Args:
        rewards: one per rollout; NaN where the rollout has none (`infra`), which leave first.
        config: threshold and criterion.
    """
    valid = [reward for reward in rewards if not math.isnan(reward)]
    if len(valid) < 2:
        return False
    spread = max(valid) - min(valid) if config.criterion == "range" else pstdev(valid)
    return spread > config.epsilon


class PromptStream:
    """Row numbers without end: every pass is a new seeded shuffle of all rows.

    The position is all its state, so that a resumed run draws what it would have drawn.
    """

    def __init__(self, n_rows: int, seed: int, position: int = 0) -> None:
        self._n_rows, self._seed, self.position = n_rows, seed, position
        self._epoch = -1
        self._order: list[int] = []

    def take(self, n: int, rank: int = 0, world: int = 1) -> list[int]:
        """The next `n` rows of this rank; every rank must ask for equally many."""
        start = self.position + rank * n
        self.position += n * world
        rows = []
        for position in range(start, start + n):
            epoch, place = divmod(position, self._n_rows)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, list(range(self._n_rows))
                random.Random(f"{self._seed}/refill/{epoch}").shuffle(self._order)
            rows.append(self._order[place])
        return rows
