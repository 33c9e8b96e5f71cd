"""Turn edits into verified ast-grep rules, without a model.

INPUT is processed data (data/processed), any .jsonl with pre and post, or a git repository. Writes
OUT/{train,dev,test}/mined_SOURCE.jsonl, where every record's action reproduces its edit exactly, and
a report of the rules by support. With --from-diff, one edit made by hand gives the rule and lists
what else it would change in the files of INPUT; nothing is written without --write.
"""

from __future__ import annotations

from rulewright.mining.settings import MineConfig

Config = MineConfig


def run(config: MineConfig) -> int:
    """Mine; give the exit code."""
    if config.from_diff:
        from rulewright.mining.by_hand import learn

        return learn(config.from_diff, config.inputs, config.write, config.json_output, config.budget_s)
    from rulewright.mining.dataset import build

    return build(config)
