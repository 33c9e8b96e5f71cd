"""RuleBench: does a rule hold on hidden edits of the same change, without changing other code?

An item is a sentence, or one to four example edits of one change, or both; the answer is one action. It
is executed on hidden edits of the same change, on code that must not change, and on unrelated code.
Without --input, the items are held-out templates on the standard library. Writes runs/bench/NAME/.
"""

from __future__ import annotations

from rulewright.commands.results import evaluated
from rulewright.evaluation.settings import RulesConfig as Config


def run(config: Config) -> int:
    """Evaluate, save, show; compare several models."""
    from rulewright.errors import UsageError
    from rulewright.evaluation.rulebench.run import RuleBench

    if config.miner and config.track == "sentence":
        raise UsageError("the miner cannot read a sentence", "choose --track examples or both")
    if config.miner and config.models:
        raise UsageError("--miner uses no model", "use either --miner or --models")
    return evaluated(config, RuleBench)
