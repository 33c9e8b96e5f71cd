"""Measure a model on held-out actions (Stage 1 and later).

The model writes ast-grep rules, which are applied in worker processes; the result is compared with the
expected text. Reports success, validity, verdicts, rules and matches per task; by family, tag, language
and source, with intervals clustered by group. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.evaluation.settings import ActionsConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation import actions

    return evaluated(config, actions.Actions)
