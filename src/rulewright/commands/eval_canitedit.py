"""Run a model on CanItEdit: 105 Python programs, two ways to ask for each change, hidden tests.

Text track (whole programs, the official prompts) or action track (ast-grep rules), executed in
the sandbox: pass@k strict and official, ExcessCode as the benchmark computes it, diff ratio,
rules per task. `--gold after` checks the installation. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright import console
from rulewright.evaluation.settings import CanItEditConfig

Config = CanItEditConfig


def run(config: CanItEditConfig) -> int:
    """Evaluate, save, show."""
    from rulewright.evaluation.canitedit import run as canitedit
    from rulewright.evaluation.canitedit import summary

    result = canitedit.evaluate(config)
    if config.json_output:
        console.emit_json(result)
    else:
        summary.show(result)
    return 0
