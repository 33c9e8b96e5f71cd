"""The configuration of `rulewright mine`; here, so that the package does not import the command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro
from pydantic import Field

from rulewright.config import Name, StageConfig
from rulewright.workers import WhereToRun


class MineConfig(StageConfig):
    """`rulewright mine`."""

    inputs: tyro.conf.Positional[tuple[str, ...]] = ()
    """Folders or files of records or pre/post rows, git repositories; with --from-diff files of code."""
    out: Path = Path("data/processed")
    """Output folder: {train,dev,test}/mined_SOURCE.jsonl."""
    report: Path = Path("reports/mining")
    """Folder of the report (.md and .json)."""
    name: Name = ""
    """Name of the report, and of the source if rows name none; default: that of the first input."""
    from_diff: str = ""
    """A unified diff of one change made by hand; `-` reads it from stdin."""
    write: bool = False
    """With --from-diff: also change the sure places, after listing them."""
    only: tuple[str, ...] = ()
    """With --from-diff: only the places on these lines, sure or not: FILE:LINE …"""
    interactive: bool = False
    """With --from-diff: ask at each place: y, n, e(dit), a(ll), q."""
    save: Path | None = None
    """With --from-diff: also write the rule to this file."""
    export: Path | None = None
    """Also write the shared and the `train` rules as an ast-grep rule pack into this folder."""
    tiers: tuple[Literal["train", "literal"], ...] = ("train", "literal")
    """Tiers to write as records."""
    literal_share: float = Field(default=0.1, ge=0, le=1)
    """Maximum share of tier `literal` among the records of a source."""
    budget_s: float = Field(default=2.0, gt=0)
    """Nominal seconds per edit (counted in rule evaluations)."""
    n_known: int = Field(default=20, ge=0)
    """Number of other files of the source in which a `train` rule may match only rarely."""
    max_lines: int = Field(default=60, ge=1)
    """Skip edits that change more lines than this."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of edits, in file order; 0: all."""
    seed: int = 0
    """Random seed of the draws."""
    engine: WhereToRun = "local"
    """Where the work runs; the result does not depend on it."""

    def is_free(self, key: str) -> bool:
        """Where report and rule pack go does not matter either."""
        return key in ("report", "export") or super().is_free(key)
