"""Supervised fine-tuning: Stage 0 (text edits) and Stage 1 (ast-grep actions).

A stage is a configuration: configs/tiny/stage0.yaml and stage1.yaml run on a CPU, those in
configs/qwen3_14b/ train Qwen3-14B on two GPUs of 32 GB. Writes a checkpoint that transformers can load,
with its README, to --out, and the run's files to OUT/run.
"""

from __future__ import annotations

from rulewright.commands.results import trained
from rulewright.training.config import SftConfig as Config


def run(config: Config) -> int:
    """Train, save, show."""
    from rulewright.training import sft

    return trained(config, sft.train(config))
