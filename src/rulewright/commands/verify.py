"""Apply every record's action and check that it gives the expected code.

FILE.jsonl has records (`metadata.action`), trajectory steps, or rows with `action`, `pre`, `post` and
`language`. Prints one verdict per line, then a summary by reason. The exit code is 1 if the action of any
record fails.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import RulewrightError
from rulewright.workers import cores

if TYPE_CHECKING:
    from rulewright.data.claims import Claim
    from rulewright.verdict import Outcome


class Config(CommandConfig):
    """Options of `rulewright verify`."""

    file: tyro.conf.Positional[Path]
    """Records, trajectory steps or rows, one JSON object per line."""
    workers: int = Field(default=1, ge=0)
    """Processes; 0: one per core."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds per record."""
    limit: int = Field(default=0, ge=0)
    """Only the first N lines; 0: all."""
    failures_only: bool = False
    """Print only the lines of records that fail."""
    allow_other_version: bool = False
    """Judge with another minor version of ast-grep."""
    json_output: AsJson = False
    """Print one JSON line per record, then one with the summary."""


SKIPS = frozenset({"no action", "rejected step"})


def run(config: Config) -> int:
    """Verify; print a verdict a line and the summary."""
    from rulewright.data.claims import judged
    from rulewright.engine import Engine

    counts: Counter[str] = Counter()
    failed = 0
    workers = config.workers or cores()
    with Engine(workers, config.deadline_s, allow_other_version=config.allow_other_version) as engine:
        for claim, outcome in judged(config.file, config.limit, engine):
            reason = claim.skip or ("unreadable" if claim.problem else str(outcome.verdict))
            counts[reason] += 1
            bad = not claim.skip and (bool(claim.problem) or not outcome.ok)
            failed += bad
            if bad or not config.failures_only:
                detail = claim.problem or outcome.detail
                if config.json_output:
                    console.emit_json(_row(claim, reason, detail, outcome))
                else:
                    note = f": {console.clean(detail)}" if detail else ""
                    console.emit(f"{config.file}:{claim.line} {claim.name} {reason}{note}")
    if not counts:
        raise RulewrightError(f"{config.file}: the file is empty", "name a file with one record per line")
    checked = sum(counts.values()) - sum(n for reason, n in counts.items() if reason in SKIPS)
    if config.json_output:
        console.emit_json({"summary": dict(counts), "checked": checked, "failed": failed})
    else:
        console.say(console.counted(f"{checked} claims checked, {failed} failed", dict(counts.most_common())))
    return 1 if failed else 0


def _row(claim: Claim, reason: str, detail: str, outcome: Outcome) -> dict[str, Any]:
    row = {"line": claim.line, "id": claim.name, "verdict": reason, "detail": detail}
    if not claim.is_checked:
        return row
    figures = {"n_rules": outcome.n_rules, "n_matches": outcome.n_matches, "flags": sorted(outcome.flags)}
    return {**row, **figures}
