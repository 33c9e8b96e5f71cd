"""Run a model on CanItEdit: 105 Python programs, two ways to ask for each change, hidden tests.

Text track (whole programs, the official prompts) or action track (ast-grep rules), executed in
the sandbox: pass@k strict and official, ExcessCode as the benchmark computes it, diff ratio,
rules per task. `--gold after` checks the installation. `--models A B C` runs several and ends
with their comparison. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.errors import UsageError
from rulewright.evaluation.settings import CanItEditConfig

Config = CanItEditConfig


def run(config: CanItEditConfig) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation.canitedit.run import CanItEdit

    if config.gold and config.models:
        raise UsageError("--gold takes no model", "leave out --gold, or --models")
    return evaluated(config, CanItEdit)
