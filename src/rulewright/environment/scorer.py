"""Tasks of one step each, as a trainer sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rulewright.engine import Engine
from rulewright.environment.executing import Snapshot, execute
from rulewright.environment.reward import Weights, score
from rulewright.environment.task import Task, TestRunner, prompt_of
from rulewright.prompts import Message, Style
from rulewright.srl.scoring import Scored


class EnvironmentScorer:
    """Tasks of one step each, as a trainer sees them (`srl.scoring.Scorer`).

    Args:
        tasks: what is trained on.
        engine: executes actions.
        tests: runs tests; without, tasks with tests are judged by their target.
        weights: of the reward.
    """

    def __init__(
        self, tasks: Sequence[Task], engine: Engine, tests: TestRunner | None, weights: Weights
    ) -> None:
        self._tasks = [task if tests else replace(task, tests=None) for task in tasks]
        self._engine, self._tests, self._weights = engine, tests, weights

    def __len__(self) -> int:
        return len(self._tasks)

    def prompt(self, row: int, style: Style) -> list[Message]:
        return prompt_of(self._tasks[row], style)

    def group(self, row: int) -> str:
        return self._tasks[row].group or self._tasks[row].id

    def reference(self, row: int) -> str:
        target = self._tasks[row].target
        return "(judged by its tests)" if target is None else target

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        """Rewards of answers; `n_tokens` counts thinking too, and is not charged for."""
        tasks = [self._tasks[row] for row in rows]
        starts = [Snapshot(task, task.code, task.state) for task in tasks]
        executed = execute(list(zip(starts, texts, strict=True)), self._engine, self._tests)
        return [
            score(start.task, result, self._weights) for start, result in zip(starts, executed, strict=True)
        ]
