"""Before a run: records, tokens, steps, memory by phase and time; does it fit, and why.

Reads a configuration of `train sft`, `train srl` or `train grpo`, and its data; loads no
model. Exit code 1 if it does not fit.
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
    """Whose configuration it is; auto: by its fields."""
    model: str = ""
    """Plan with this folder or known name; unset: the run's own, or what it will be made from."""
    device: Literal["auto", "cpu", "rtx5090", "rtx4090", "a100", "h100", "h200"] = "auto"
    """Where it is to run; auto: the CPU for a model of less than 200 M parameters, else rtx5090."""
    devices: int = Field(default=0, ge=0)
    """How many; 0: `processes` of the run, or 2 GPUs."""
    sharding: Literal["none", "zero2", "zero3", "fsdp"] = "none"
    """How accelerate spreads weights and optimizer: none is data parallel, a whole model on each."""
    memory_gib: float = Field(default=0.0, ge=0)
    """Memory of a device; 0: as known (CPU: what is free)."""
    probe: bool = True
    """On a CPU: measure for two seconds what it multiplies (needs torch), rather than assume it."""
    json_output: AsJson = False
    """The plan as JSON on stdout."""


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
