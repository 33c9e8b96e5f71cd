"""What `rulewright trajs make` is asked for; kept here so that the work need not know the command."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rulewright.config import AsJson, CommandConfig


class TrajsConfig(CommandConfig):
    """Which raw files, what is kept, where it goes."""

    raw: list[Path] = Field(default_factory=lambda: [Path("trajectories/raw/teacher")])
    """Raw files, or folders of them (their *.jsonl)."""
    out: Path = Path("data/processed/srl")
    """Folder of train.jsonl and dev.jsonl."""
    max_per_task: int = Field(default=4, ge=1)
    """Episodes kept of one task."""
    max_rule_chars: int = Field(default=2000, ge=1)
    """Longest action kept, as JSON."""
    max_steps: int = Field(default=8, ge=1)
    """Longest episode kept."""
    allow_flags: bool = False
    """Keep actions judged lossy or degenerate although their result is right."""
    tiers: tuple[str, ...] = ("train", "literal", "untiered")
    """Tiers of mined actions to keep (docs/reference/mining.md); untiered: steps of other teachers.
    `reject` is kept only where it is named."""
    literal_share: float = Field(default=1.0, ge=0, le=1)
    """At most this share of a split's steps of tier `literal`: the miner doubts that they hold elsewhere."""
    memorized_share: float = Field(default=0.1, ge=0, le=1)
    """At most this share of a split's steps whose rules mostly repeat code, whatever their tier
    (docs/guide/teachers.md)."""
    records: Path | None = None
    """Also write the training steps as records to this file: SFT on the same steps, the control."""
    repairs: bool = False
    """With --records: give a step that a retry made twice, without and with what the retry was told."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute actions."""
    deadline_s: float = Field(default=5.0, gt=0)
    """Longest processor time for one action."""
    overwrite: bool = True
    """Replace the earlier result; it is a pure function of the raw files."""
    json_output: AsJson = False
    """Summary as JSON on stdout."""
