"""Before a run: records, tokens, steps, memory by part and time; does it fit, and why.

Reads a configuration of `train sft` and its data; loads no model. Exit code 1 if it does
not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig


class Config(CommandConfig):
    """`rulewright plan`."""

    sft: tyro.conf.Positional[Path]
    """Configuration of the run, e.g. configs/qwen3_14b/stage0_qlora.yaml."""
    device: Literal["auto", "cpu", "rtx5090", "rtx4090", "a100", "h100", "h200"] = "auto"
    """Where it is to run; auto: the CPU for a new tiny model or a checkpoint of one, else rtx5090."""
    devices: int = Field(default=0, ge=0)
    """How many; 0: `processes` of the run, or 2 GPUs."""
    sharding: Literal["none", "zero2", "zero3", "fsdp"] = "none"
    """How accelerate spreads weights and optimizer: none is data parallel, a whole model on each."""
    memory_gib: float = Field(default=0.0, ge=0)
    """Memory of a device; 0: as known (CPU: what is free)."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """The plan as JSON on stdout."""


def run(config: Config) -> int:
    """Estimate and show; exit code 1 if it does not fit."""
    from rulewright.config import read_file
    from rulewright.training import plan
    from rulewright.training.config import SftConfig

    wanted = SftConfig(**read_file(SftConfig, config.sft))
    device = config.device
    if device == "auto":
        device = "cpu" if plan.is_small(wanted) else "rtx5090"
        console.decided("device", device, "the model's size decides; --device names another")
    devices = config.devices or (wanted.processes if device == "cpu" else max(2, wanted.processes))
    made = plan.make(wanted, device, devices, config.sharding, config.memory_gib)
    if config.json_output:
        console.emit_json(plan.to_json(made))
    else:
        plan.show(made)
    return 0 if made.fits else 1
