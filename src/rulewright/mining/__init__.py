"""From an edit to verified ast-grep rules, without a model."""

from __future__ import annotations

from rulewright.mining.mined import Figures, Mined, Tier, mine

__all__ = ["Figures", "Mined", "Tier", "mine"]
