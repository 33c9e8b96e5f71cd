"""Figures of teacher runs, read from the raw files: a pure function of what is saved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rulewright import jsonl
from rulewright.srl.literalness import step_is_memorized, tier_of
from rulewright.state.trajectory import TrajectoryStep
from rulewright.stats import wilson
from rulewright.verdict import Verdict

Key = tuple[str, str, str]


def tally(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """What the rows of raw files come to, for each teacher, model and source in order."""
    counts: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    verdicts: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    tiers: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    tasks: defaultdict[Key, set[str]] = defaultdict(set)
    for path in paths:
        for value in jsonl.read(path):
            row = TrajectoryStep.model_validate(value)
            said, right = row.provenance, row.env.verdict is Verdict.OK
            key = (said.teacher, said.model, said.source)
            tasks[key].add(row.task_id)
            verdicts[key][row.env.verdict.value] += 1
            if right:
                tiers[key][tier_of(row)] += 1
            counts[key].update(
                steps=1,
                retries=int(said.attempt > 0),
                memorized=int(right and step_is_memorized(row)),
                tokens_in=int(said.usage.get("prompt_tokens", 0)),
                tokens_out=int(said.usage.get("completion_tokens", 0)),
                episodes=int(said.final),
                solved=int(said.final and said.solved is True),
                unknown=int(said.final and said.solved is None),
            )
    return [
        {
            "teacher": key[0],
            "model": key[1],
            "source": key[2],
            "tasks": len(tasks[key]),
            "episodes": found["episodes"],
            "solved": found["solved"],
            "solved_rate": found["solved"] / found["episodes"] if found["episodes"] else None,
            "solved_interval": list(wilson(found["solved"], found["episodes"])),
            "nothing_to_check_against": found["unknown"],
            "steps": found["steps"],
            "retries": found["retries"],
            "verdicts": dict(verdicts[key].most_common()),
            "tiers": dict(tiers[key].most_common()),
            "memorized": found["memorized"],
            "tokens_in": found["tokens_in"],
            "tokens_out": found["tokens_out"],
        }
        for key, found in sorted(counts.items())
    ]
