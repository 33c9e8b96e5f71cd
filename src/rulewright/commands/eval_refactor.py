"""Run a model on a folder of Aider's refactor-benchmark.

Each task asks to make a method a top-level function and to update its calls. Aider's own check
stands beside a tightened one (the method is gone, nothing uses it on the instance any more).
Download the folder first. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.evaluation.settings import RefactorConfig

Config = RefactorConfig


def run(config: RefactorConfig) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation import refactor

    return evaluated(config, refactor.Refactor)
