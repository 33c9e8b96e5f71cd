"""Figures of teacher runs, read from the raw files: a pure function of what is saved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rulewright import jsonl
from rulewright.srl.literalness import step_is_memorized, tier_of
from rulewright.state.trajectory import TrajectoryStep
from rulewright.stats import wilson
from rulewright.verdict import Verdict


@dataclass
class Tally:
    """Counts over the rows of one teacher and source."""

    tasks: set[str] = field(default_factory=set)
    episodes: int = 0
    solved: int = 0
    unknown: int = 0
    rows: int = 0
    retries: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    """Steps with verdict `ok` by tier."""
    memorized: int = 0
    """Steps with verdict `ok` whose rules mostly repeat code."""
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, row: TrajectoryStep) -> None:
        said = row.provenance
        self.tasks.add(row.task_id)
        self.rows += 1
        self.retries += said.attempt > 0
        self.verdicts[row.env.verdict.value] += 1
        if row.env.verdict is Verdict.OK:
            self.tiers[tier_of(row)] += 1
            self.memorized += step_is_memorized(row)
        self.tokens_in += int(said.usage.get("prompt_tokens", 0))
        self.tokens_out += int(said.usage.get("completion_tokens", 0))
        if said.final:
            self.episodes += 1
            self.solved += said.solved is True
            self.unknown += said.solved is None

    def to_dict(self) -> dict[str, Any]:
        low, high = wilson(self.solved, self.episodes)
        return {
            "tasks": len(self.tasks),
            "episodes": self.episodes,
            "solved": self.solved,
            "solved_rate": self.solved / self.episodes if self.episodes else None,
            "solved_interval": [low, high],
            "nothing_to_check_against": self.unknown,
            "steps": self.rows,
            "retries": self.retries,
            "verdicts": dict(self.verdicts.most_common()),
            "tiers": dict(self.tiers.most_common()),
            "memorized": self.memorized,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
        }


def tally(paths: Iterable[Path]) -> dict[tuple[str, str, str], Tally]:
    """Count the rows of raw files by (teacher, model, source)."""
    found: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
    for path in paths:
        for value in jsonl.read(path):
            row = TrajectoryStep.model_validate(value)
            said = row.provenance
            found[said.teacher, said.model, said.source].add(row)
    return dict(sorted(found.items()))
