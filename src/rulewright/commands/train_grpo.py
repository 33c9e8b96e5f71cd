"""GRPO: train on the environment's reward for the effect of an action (and for its tests, if any).

The tasks are records; no teacher is needed. Starts from the SRL checkpoint. Writes the best checkpoint to
models/grpo_stage3, metrics and curves to reports/grpo.
"""

from __future__ import annotations

from rulewright.commands.results import trained
from rulewright.training.train_grpo import GrpoConfig as Config
from rulewright.training.train_grpo import train_grpo


def run(config: Config) -> int:
    """Train, and show dev before and after."""
    return trained(config, train_grpo(config))
