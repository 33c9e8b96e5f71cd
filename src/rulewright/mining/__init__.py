"""From an edit to verified ast-grep rules, without a model."""

from __future__ import annotations

from rulewright.mining.generalise import Example, General, claim, mine_many
from rulewright.mining.mined import Figures, Mined, Tier, learn_from, mine

__all__ = ["Example", "Figures", "General", "Mined", "Tier", "claim", "learn_from", "mine", "mine_many"]
