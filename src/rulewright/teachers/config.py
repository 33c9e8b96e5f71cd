"""The configuration of `teacher run`; no torch, no network at import."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from rulewright.config import Name
from rulewright.generation.open import AskingConfig


class TeacherConfig(AskingConfig):
    """Teacher, tasks, limits and output."""

    tasks: list[Path] = Field(default_factory=lambda: [Path("data/processed/train/synth.jsonl")])
    """Manifests: JSONL of records, or of objects with instruction, pre, language (post, tests, group)."""
    teacher: Literal["miner", "gold", "checkpoint", "endpoint"] = "miner"
    """miner: rules from each task's edit, no model. gold: the record's own verified action.
    checkpoint: a model folder here. endpoint: an OpenAI-compatible server (vLLM)."""
    name: Name = ""
    """Name of the output file; empty: built from the teacher and the model."""
    out: Path = Path("trajectories/raw/teacher")
    """Folder of raw trajectories."""
    metrics: Path = Path("reports/teacher/metrics.md")
    """Page with figures over all files in the folder."""
    samples: int = Field(default=1, ge=1)
    """Episodes per task."""
    max_steps: int = Field(default=1, ge=1)
    """Maximum number of steps in an episode; miner and gold determine it themselves."""
    attempts: int = Field(default=1, ge=1)
    """Tries per step; each retry includes the reason why the previous try failed."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of tasks per manifest, chosen by hash; 0: all."""
    batch_size: int = Field(default=64, ge=1)
    """Episodes that run together; each is saved when it ends."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute actions."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds for one action; also the miner's budget."""
    max_usd: float | None = Field(default=None, gt=0)
    """Stop after spending this amount, computed from the prices below."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Stop after this number of tokens, prompts included."""
    price_in_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million prompt tokens."""
    price_out_usd_per_mtok: float = Field(default=0.0, ge=0)
    """Price of a million completion tokens."""
    dry_run: bool = False
    """Count tasks and estimate tokens and price, without a request and without output."""
    resume: bool = True
    """Continue the output file: complete episodes are not run again."""
    overwrite: bool = False
    """Replace the output file instead of continuing it."""

    def output(self) -> Path:
        """The raw file of this teacher."""
        default = (
            self.teacher if self.teacher in ("miner", "gold") else f"{self.teacher}-{Path(self.model).name}"
        )
        return self.out / f"{self.name or default}.jsonl"
