"""SRL on verified teacher steps: step-wise imitation with a reward, by GRPO.

The student sees the instruction, the code and the state that the teacher saw, writes
its own action, and is rewarded by its similarity to the teacher's, gated by its effect
or not (SRL, arXiv 2510.25992; docs/reference/rewards.md). Every verified step is one instance,
the first one included.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import Field

from rulewright import console, jsonl
from rulewright.data.splits import draw
from rulewright.engine import Engine
from rulewright.errors import UsageError, by_reason
from rulewright.srl.elsewhere import GENERALITY
from rulewright.srl.reward_srl import Kind
from rulewright.srl.scoring import StepScorer, TeacherStep, join_references, teacher_step
from rulewright.state.trajectory import TrajectoryStep
from rulewright.training import environment, job
from rulewright.training.policy_config import PolicyConfig, Tasks
from rulewright.training.train_policy import train_on


class SrlConfig(PolicyConfig):
    """Configuration of `train srl`."""

    train: Path = Path("data/processed/srl/train.jsonl")
    """Verified steps to learn from."""
    dev: Path = Path("data/processed/srl/dev.jsonl")
    """Verified steps to evaluate on."""
    reward: Kind = "gated"
    """plain: similarity to the teacher's action alone; gated: scaled by the effect of the action."""
    generality: float = Field(default=GENERALITY, ge=0, lt=1)
    """Share of the gated reward that an answer earns only if it is right on the step's siblings and
    negatives; 0: none."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of training tasks, in file order; 0: all."""


def train_srl(config: SrlConfig) -> dict[str, Any]:
    """Run SRL as configured; give what `result.json` holds."""
    config = job.prepare(config)

    def tasks(engine: Engine, _: ExitStack) -> Tasks:
        rejected: list[dict[str, Any]] = []
        train = _rows(config.train, rejected)
        # The first ones of a file would be of a few groups only.
        dev = draw(_rows(config.dev, rejected), config.eval_rows, lambda step: f"dev {step.id}")
        learn, watch = (
            StepScorer(steps, config.reward, engine, config.generality)
            for steps in (train[: config.limit or None], dev)
        )
        return Tasks(learn, watch, f"srl_{config.reward}", rejected)

    return train_on("srl", config, [config.train, config.dev], tasks)


def _rows(path: Path, rejected: list[dict[str, Any]]) -> list[TeacherStep]:
    """The tasks of a file, each with all its references."""
    steps = read_steps(path, rejected)
    rows = join_references(steps)
    if len(rows) < len(steps) and environment.is_main():
        console.decided(
            "tasks", len(rows), f"{path}: {len(steps)} steps; solutions of one task are references of one row"
        )
    return rows


def read_steps(path: Path, rejected: list[dict[str, Any]]) -> list[TeacherStep]:
    """Read verified steps; unusable ones go to `rejected` with place and reason.

    Raises:
        UsageError: no file, or not one usable step in it.
    """
    steps: list[TeacherStep] = []
    n_before = len(rejected)
    for line in jsonl.read_lines(path):
        step = jsonl.validated(line, TrajectoryStep)
        made = step if isinstance(step, str) else teacher_step(step)
        if isinstance(made, TeacherStep):
            steps.append(made)
        else:
            rejected.append({"file": str(path), "line": line.number, "reason": made})
    if not steps:
        reasons = Counter(item["reason"] for item in rejected[n_before:])
        listing = by_reason(reasons, 3) or "it is empty"
        raise UsageError(f"{path}: no usable step ({listing})", "make steps first: rulewright trajs make")
    return steps
