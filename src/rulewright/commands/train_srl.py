"""SRL: train the Stage 1 model on verified teacher steps, rewarded by action similarity.

Reads data/processed/srl/{train,dev}.jsonl (made by `trajs make`), starts from the
Stage 1 checkpoint, and writes the best checkpoint to models/srl_stage2, metrics and
curves to reports/srl.
"""

from __future__ import annotations

from rulewright import console
from rulewright.srl.train_srl import SrlConfig, train_srl
from rulewright.training import environment
from rulewright.training.policy import show

Config = SrlConfig


def run(config: SrlConfig) -> int:
    """Train, and show dev before and after."""
    result = train_srl(config)
    if not result or environment.is_launched():
        return 0
    if config.json_output:
        console.emit_json(result)
    else:
        console.say(show(result))
        console.say(f"model: {config.out}; best step {result['best_step']} of {result['steps']}")
    return 0
