"""Measure a model on held-out text edits (Stage 0).

Reports exact match and similarity of the change, with the unchanged input as control; by family, tag,
language and source, with intervals clustered by group. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.evaluation.settings import EditsConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.evaluation import edits

    return evaluated(config, edits.Edits)
