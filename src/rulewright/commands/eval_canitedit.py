"""Run a model on CanItEdit: 105 Python programs with two instructions each and hidden tests.

Text track: whole programs with the official prompts. Action track: ast-grep rules. Programs run in the
sandbox. Reports pass@k strict and official, ExcessCode as the benchmark computes it, diff ratio and rules
per task. `--gold after` checks the installation. `--models A B C` runs several models and compares them.
Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.errors import UsageError
from rulewright.evaluation.settings import CanItEditConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation.canitedit.run import CanItEdit

    if config.gold and config.models:
        raise UsageError("--gold uses no model", "use either --gold or --models")
    return evaluated(config, CanItEdit)
