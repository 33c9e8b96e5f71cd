"""Measure a model on held-out text edits (Stage 0).

Exact match, similarity of the change, repeating the input beside it; per family, tag,
language and source, with intervals clustered by group. Writes runs/eval/NAME/.
"""

from __future__ import annotations

from rulewright import console
from rulewright.evaluation.settings import EditsConfig

Config = EditsConfig


def run(config: EditsConfig) -> int:
    """Evaluate, save, show."""
    from rulewright.evaluation import edits

    result = edits.evaluate(config)
    if config.json_output:
        console.emit_json(result)
    else:
        edits.show(result)
    return 0
