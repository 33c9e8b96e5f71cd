"""Before a training run: estimate records, tokens, steps, memory and time, and say whether it fits.

Reads a configuration of `train sft`, `train srl` or `train grpo`, and its data, but loads no model. The
exit code is 1 if the run does not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from rulewright import console, shipped
from rulewright.config import AsJson, CommandConfig


class Config(CommandConfig):
    """`rulewright plan`."""

    config_file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CONFIG")]
    """Configuration of the run, e.g. configs/qwen3_14b/stage0_qlora.yaml."""
    stage: Literal["auto", "sft", "srl", "grpo"] = "auto"
    """The command that the configuration is for; auto: detected from its fields."""
    model: str = ""
    """Plan with this model folder or known name; unset: the run's model, or its base if it does not exist
    yet."""
    device: Literal["auto", "cpu", "rtx5090", "rtx4090", "a100", "h100", "h200"] = "auto"
    """Device of the run; auto: the CPU for a model of less than 200 M parameters, otherwise rtx5090."""
    devices: int = Field(default=0, ge=0)
    """Number of devices; 0: `processes` of the run, or 2 GPUs."""
    sharding: Literal["none", "zero2", "zero3", "fsdp"] = "none"
    """How accelerate shards weights and optimizer; none: data parallel, with the whole model on each
    device."""
    memory_gib: float = Field(default=0.0, ge=0)
    """Memory of a device in GiB; 0: its known size (CPU: the free memory)."""
    probe: bool = True
    """On a CPU: measure its speed for two seconds (needs torch) instead of assuming it."""
    json_output: AsJson = False
    """Print the plan as JSON on stdout."""


def run(config: Config) -> int:
    """Estimate and show; exit code 1 if it does not fit."""
    from rulewright.training import plan

    file = shipped.locate(config.config_file)
    stage, wanted = plan.read(file, None if config.stage == "auto" else config.stage)
    source = plan.origin(wanted, file, config.model)
    if source.reason:
        console.decided("model", source.architecture.name, source.reason)
    device: str = config.device
    if device == "auto":
        device = "cpu" if plan.is_small(source.architecture) else "rtx5090"
        console.decided("device", device, "the model's size decides; --device names another")
    devices = config.devices or (wanted.processes if device == "cpu" else max(2, wanted.processes))
    where = plan.machine(device, devices, config.memory_gib, source, wanted.threads, config.probe)
    made = plan.make(stage, wanted, source, where, config.sharding)
    if config.json_output:
        console.emit_json(plan.to_json(made))
    else:
        console.say_all(plan.report(made))
    return 0 if made.fits else 1
