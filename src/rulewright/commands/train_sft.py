"""Supervised fine-tuning: Stage 0 (text edits) and Stage 1 (ast-grep actions).

One trainer; a stage is a file: configs/tiny/stage0.yaml and stage1.yaml run on a CPU,
configs/qwen3_14b/ holds Qwen3-14B on two GPUs of 32 GB. Writes a checkpoint that
transformers loads, with its README, to --out, and the run's files to OUT/run.
"""

from __future__ import annotations

from rulewright import console
from rulewright.training.config import SftConfig

Config = SftConfig


def run(config: SftConfig) -> int:
    """Train, save, show."""
    from rulewright.training import environment, sft

    result = sft.train(config)
    if not environment.is_main():
        return 0
    if config.json_output and not environment.is_launched():
        console.emit_json(result)
    elif not environment.is_launched() or config.processes == 1:
        console.say(sft.describe(result))
    return 0
