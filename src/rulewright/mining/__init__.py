"""From an edit to verified ast-grep rules, without a model.

The names below are imported when they are first used: `--help` needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rulewright.mining.learn.generalize import Example, General, claim, mine_many
    from rulewright.mining.learn.grading import Figures, Tier
    from rulewright.mining.learn.mine import Mined, mine

__all__ = ["Example", "Figures", "General", "Mined", "Tier", "claim", "mine", "mine_many"]

_MODULES = {
    "Example": "generalize", "General": "generalize", "claim": "generalize", "mine_many": "generalize",
    "Figures": "grading", "Tier": "grading", "Mined": "mine", "mine": "mine",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.learn.{_MODULES[name]}"), name)
