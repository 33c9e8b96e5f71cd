"""GRPO: train on the environment's reward, the change an action makes (and tests, where there are any).

Records are the tasks; no teacher is needed. Starts from the SRL checkpoint and writes
the best checkpoint to models/grpo_stage3, metrics and curves to reports/grpo.
"""

from __future__ import annotations

from rulewright import console
from rulewright.training import environment
from rulewright.training.policy import show
from rulewright.training.train_grpo import GrpoConfig, train_grpo

Config = GrpoConfig


def run(config: GrpoConfig) -> int:
    """Train, and show dev before and after."""
    result = train_grpo(config)
    if not result or environment.is_launched():
        return 0
    if config.json_output:
        console.emit_json(result)
    else:
        console.say(show(result))
        console.say(f"model: {config.out}; best step {result['best_step']} of {result['steps']}")
    return 0
