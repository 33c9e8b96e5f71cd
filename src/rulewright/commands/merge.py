"""Merge a LoRA adapter into its base: one plain checkpoint that any server loads.

The base is loaded without quantization, even if the adapter was trained on 4-bit weights. Tokenizer, chat
template, generation settings and rulewright.json (the prompt style) are copied. OUT must be new or empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro

from rulewright import console
from rulewright.config import AsJson, CommandConfig
from rulewright.workers import cores


class Config(CommandConfig):
    """Which adapter, into which folder."""

    adapter: tyro.conf.Positional[Path]
    """Folder with `adapter_config.json`, as `train` writes it with `lora`."""
    out: tyro.conf.Positional[Path]
    """Folder for the merged checkpoint; new or empty."""
    base: str = ""
    """The base model, if it has moved: folder or hub name."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of the merged weights; auto: that of the base."""
    json_output: AsJson = False
    """Print what was written as JSON on stdout."""


def run(config: Config) -> int:
    """Check, merge, and report the result."""
    from rulewright.generation.adapters import Adapter
    from rulewright.training import environment
    from rulewright.training.merge import merge

    adapter = Adapter.read(config.adapter)
    environment.prepare(cores(), adapter.require_base(config.base))
    merged = merge(config.adapter, config.out, config.dtype, config.base)
    if config.json_output:
        console.emit_json({**merged._asdict(), "out": str(merged.out)})
        return 0
    console.decided("base", merged.base, "as asked" if config.base else "as the adapter says")
    from rulewright.generation.cpu import ROUNDED_AWAY

    if merged.rounded_away > ROUNDED_AWAY:
        console.decided(
            "lost", f"{100 * merged.rounded_away:.0f} % of what the adapter changes",
            f"too small for {merged.dtype}: --dtype float32 keeps it, and so does serving it in float32",
        )  # fmt: skip
    console.say(f"{merged.out}: {merged.n_parameters:,} parameters in {merged.dtype}")
    return 0
