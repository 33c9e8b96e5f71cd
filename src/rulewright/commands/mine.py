"""Turn edits into verified ast-grep rules, without a model.

INPUT is processed data (data/processed), any .jsonl with pre and post, or a git repository. Writes
OUT/{train,dev,test}/mined_SOURCE.jsonl, where every record's action reproduces its edit exactly, and
a report of the rules by support. With --from-diff, one edit made by hand gives the rule and lists
what else it would change in the files of INPUT, by how sure it is; --write changes sure places only.
"""

from __future__ import annotations

from pathlib import Path

from rulewright.commands.offers import Wish
from rulewright.mining.settings import MineConfig

Config = MineConfig


def run(config: MineConfig) -> int:
    """Mine; give the exit code."""
    if config.from_diff:
        from rulewright.commands.like import like

        wish = Wish(
            config.write, only=config.only, interactive=config.interactive, as_json=config.json_output
        )
        return like(
            config.from_diff,
            [Path(one) for one in config.inputs],
            wish,
            config.save,
            budget_s=config.budget_s,
        )
    from rulewright.mining.dataset import build

    return build(config)
