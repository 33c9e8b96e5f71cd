"""SRL: train the Stage 1 model on verified teacher steps, rewarded by action similarity.

Reads data/processed/srl/{train,dev}.jsonl (made by `trajs make`), starts from the
Stage 1 checkpoint, and writes the best checkpoint to models/srl_stage2, metrics and
curves to reports/srl.
"""

from __future__ import annotations

from rulewright.commands.results import trained
from rulewright.srl.train_srl import SrlConfig as Config
from rulewright.srl.train_srl import train_srl


def run(config: Config) -> int:
    """Train, and show dev before and after."""
    return trained(config, train_srl(config))
