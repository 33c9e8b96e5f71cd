"""Episodes, step by step; and tasks of one step each, as a trainer sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rulewright.engine import Engine
from rulewright.environment.executing import Snapshot, execute
from rulewright.environment.reward import Weights, right_here, score
from rulewright.environment.task import Task, TestRunner, prompt_of
from rulewright.prompts import Message, Style, action_prompt
from rulewright.srl.scoring import Scored
from rulewright.verdict import INVALID, Verdict


@dataclass(frozen=True)
class StepResult:
    """What one answer came to."""

    observation: str
    """For the next prompt: what happened, empty where the episode is over."""
    reward: float | None
    """The gain in score; `None`: our fault, leave the episode out."""
    done: bool
    reason: Verdict
    parts: Mapping[str, float] = field(default_factory=dict)


class Environment:
    """One episode at a time: `reset(task)`, then `step(answer)` until done.

    A step that changes the code is judged by the total change from the task's code, and earns the gain in
    score; one that changes nothing, or is invalid, earns its penalty. The step that makes the code right
    gives the penalties back, so that an episode that ends right earns its score, and more than any that
    does not.

    Args:
        engine: executes actions.
        tests: runs tests; without, tasks with tests are judged by their target.
        weights: of the reward.
    """

    def __init__(
        self, engine: Engine, tests: TestRunner | None = None, weights: Weights | None = None
    ) -> None:
        self._engine, self._tests, self._weights = engine, tests, weights or Weights()
        self._now: Snapshot | None = None

    def reset(self, task: Task, style: Style = "full") -> list[Message]:
        """Start an episode; give its prompt."""
        self._now = Snapshot(task if self._tests else replace(task, tests=None), task.code, task.state)
        return self.prompt(style)

    def snapshot(self) -> Snapshot:
        """The current state of the episode."""
        if self._now is None:
            raise RuntimeError("no episode: reset(task) first")
        return self._now

    def prompt(self, style: Style = "full", feedback: str = "") -> list[Message]:
        """The prompt of the next step."""
        now = self.snapshot()
        return action_prompt(now.task.instruction, now.code, now.task.language, now.state, feedback, style)

    def step(self, answer: str) -> StepResult:
        """Execute an answer: a model's raw text."""
        now = self.snapshot()
        task = now.task
        executed = execute([(now, answer)], self._engine, self._tests)[0]
        scored = score(task, executed, self._weights)
        if scored.value is None:
            return StepResult("", None, True, scored.verdict)
        n_steps = now.n_steps + 1
        right = right_here(task, executed.outcome, executed.tests)
        done = right or n_steps >= task.max_steps
        observation = "" if done else f"{scored.verdict.value}: {executed.outcome.detail}"
        post = executed.outcome.post
        if post is None or post == now.code or executed.outcome.verdict in INVALID:
            penalty = min(scored.value, self._weights.no_change)
            self._now = replace(
                now, n_steps=n_steps, n_tokens=executed.n_tokens, penalties=now.penalties + penalty
            )
            return StepResult(observation, penalty, done, executed.outcome.verdict, {"add_penalty": penalty})
        self._now = replace(
            now, code=post, n_steps=n_steps, n_rules=executed.n_rules, n_tokens=executed.n_tokens,
            earned=scored.value, elsewhere=executed.elsewhere,
        )  # fmt: skip
        given = now.earned + (now.penalties if right else 0.0)
        return StepResult(observation, scored.value - given, done, scored.verdict, scored.parts)


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
