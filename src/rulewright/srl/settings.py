"""The configuration of `rulewright trajs make`, separate from the command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from rulewright.config import AsJson, CommandConfig


class TrajsConfig(CommandConfig):
    """Which raw files to read, what to keep, and where to write."""

    raw: list[Path] = Field(default_factory=lambda: [Path("trajectories/raw/teacher")])
    """Raw files, or folders of them (their *.jsonl)."""
    out: Path = Path("data/processed/srl")
    """Folder of train.jsonl and dev.jsonl."""
    max_per_task: int = Field(default=4, ge=1)
    """Maximum number of episodes per task."""
    max_rule_chars: int = Field(default=2000, ge=1)
    """Maximum length of an action, in characters of JSON."""
    max_steps: int = Field(default=8, ge=1)
    """Maximum number of steps in an episode."""
    allow_flags: bool = False
    """Keep actions with a right result even if they are lossy or degenerate."""
    tiers: tuple[Literal["train", "literal", "untiered", "reject"], ...] = ("train", "literal", "untiered")
    """Tiers of mined actions to keep (docs/reference/mining.md); untiered: steps of other teachers.
    `reject` is kept only if you name it."""
    literal_share: float = Field(default=1.0, ge=0, le=1)
    """Maximum share of steps of tier `literal` in a split: rules that the miner does not trust on other
    code."""
    memorized_share: float = Field(default=0.1, ge=0, le=1)
    """Maximum share of memorized steps in a split: rules that mostly repeat code
    (docs/guide/teachers.md)."""
    records: Path | None = None
    """Also write the training steps as records to this file, for SFT on the same steps (the control)."""
    repairs: bool = False
    """With --records: write a step from a retry twice, without and with the feedback of the retry."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute actions."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds for one action."""
    overwrite: bool = True
    """Replace the earlier result, which depends on the raw files only."""
    json_output: AsJson = False
    """Print the summary as JSON on stdout."""
