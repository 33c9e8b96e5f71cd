"""Run a model on a folder of Aider's refactor-benchmark.

Each task asks to turn a method into a top-level function and to update its calls. Reports Aider's own
check and a stricter one (the method is gone, and no call on the instance is left). Download the folder
first. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.evaluation.settings import RefactorConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation import refactor

    return evaluated(config, refactor.Refactor)
