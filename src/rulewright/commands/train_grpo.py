"""GRPO: train on the environment's reward, the change an action makes (and tests, where there are any).

Records are the tasks; no teacher is needed. Starts from the SRL checkpoint and writes
the best checkpoint to models/grpo_stage3, metrics and curves to reports/grpo.
"""

from __future__ import annotations

from rulewright.commands.results import trained
from rulewright.training.train_grpo import GrpoConfig, train_grpo

Config = GrpoConfig


def run(config: GrpoConfig) -> int:
    """Train, and show dev before and after."""
    return trained(config, train_grpo(config))
