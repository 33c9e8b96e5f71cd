"""The environment of GRPO: a task, an answer, what came of it, and its reward.

Core: `Task`, `reset`, `step`, `snapshot`, `restore`; `score` is a pure function of what
executing came to. The change is rewarded, never the file: doing nothing earns nothing.
No torch, no trainer: adapters to other frameworks stand on this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rulewright.actions import Rejection, parse_response
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine, Request
from rulewright.languages import Language
from rulewright.prompts import Message, Style, action_prompt
from rulewright.srl.change import change_similarity
from rulewright.srl.scoring import Scored
from rulewright.state.state import State, count_tokens
from rulewright.verdict import INVALID, Outcome, Verdict

# An action with one of these is never correct, and its change counts for little (or nothing).
_UNSOUND = (Verdict.LOSSY, Verdict.SYNTAX_ERROR)


class Weights(BaseModel):
    """What the parts of the reward are worth (SPEC section 7)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    invalid: float = Field(default=-0.5, le=0)
    """An action that could not be tried."""
    no_change: float = Field(default=-0.2, le=0)
    """One that changed nothing, or replaced the file by a literal."""
    code: float = Field(default=1.5, ge=0)
    """Times the similarity of the change to the wanted one, in [0, 1]."""
    tests: float = Field(default=0.5, ge=0)
    """If tests that failed now pass and none broke."""
    per_rule: float = Field(default=-0.05, le=0)
    """For every rule after the first; only when correct."""
    per_token: float = Field(default=-0.001, le=0)
    """For every token above the reference's length; only when correct."""
    token_cap: float = Field(default=-0.15, le=0)
    """The token charge is never worse than this."""
    unsound_code: float = Field(default=0.5, ge=0, le=1)
    """Most that the similarity counts where code was dropped, broken, or a test broke."""


@dataclass(frozen=True)
class Task:
    """What is asked, and how the answer is judged.

    Args:
        id: stable.
        instruction: what to change.
        code: as it is.
        language: of the code.
        target: the wanted code, where known.
        tests: statements that follow the program in one file, where there are any.
        reference_tokens: length of a known good answer; 0 where there is none.
        held_out: more code and what it should become: an over-general rule fails here.
        max_steps: actions that may follow one another.
        group: what the task is not independent of.
    """

    id: str
    instruction: str
    code: str
    language: Language
    target: str | None = None
    tests: str | None = None
    reference_tokens: int = 0
    held_out: tuple[tuple[str, str], ...] = ()
    max_steps: int = 1
    group: str = ""


def task_of(record: NormalizedRecord) -> Task:
    """The task that a record poses."""
    action = record.metadata.action
    return Task(
        id=record.metadata.id,
        instruction=record.instruction,
        code=record.pre,
        language=record.language,
        target=record.post,
        tests=record.metadata.tests,
        reference_tokens=count_tokens(f"<action>{action}</action>") if action else 0,
        group=record.metadata.group,
    )


@dataclass(frozen=True)
class Tests:
    """Whether the task's tests pass, before and after; `None`: not run."""

    __test__ = False  # not a test class for pytest

    before: bool | None = None
    after: bool | None = None
    suspicious: bool = False
    """The program holds constructs that can forge a pass."""

    @property
    def repaired(self) -> bool:
        return self.before is False and self.after is True and not self.suspicious

    @property
    def broken(self) -> bool:
        return self.before is True and self.after is False


# Runs a task's tests on a program: whether they pass (`None`: our fault), and whether the
# program holds what can forge a pass.
TestRunner = Callable[[str, Task], tuple[bool | None, bool]]


@dataclass(frozen=True)
class Executed:
    """What executing an answer came to: all that a score depends on."""

    outcome: Outcome
    n_tokens: int = 0
    n_rules: int = 0
    tests: Tests = Tests()
    held_out_right: bool = True


def score(task: Task, executed: Executed, weights: Weights) -> Scored:
    """The reward of an answer and its parts; those named `add_…` sum to the value."""
    outcome = executed.outcome
    if outcome.verdict is Verdict.INFRA:
        return Scored(None, Verdict.INFRA, False)
    if outcome.verdict in INVALID:
        return _scored(outcome.verdict, False, {"add_invalid": weights.invalid})
    flags = outcome.flags | {outcome.verdict}
    if outcome.post is None or outcome.post == task.code or Verdict.DEGENERATE in flags:
        return _scored(outcome.verdict, False, {"add_no_change": weights.no_change, "s_code": 0.0})
    if task.tests and executed.tests.after is None:
        return Scored(None, Verdict.INFRA, False)
    sound = not flags.intersection(_UNSOUND) and not executed.tests.broken
    similar = change_similarity(task.code, outcome.post, task.target) if task.target is not None else 0.0
    counted = similar if sound else min(similar, weights.unsound_code)
    correct = sound and executed.held_out_right and _reached(task, executed)
    parts = {
        "add_code": weights.code * counted,
        "add_tests": weights.tests if executed.tests.repaired and sound else 0.0,
        "s_code": similar,
        "tests": float(executed.tests.after is True),
    }
    if correct:
        parts["add_rules"] = weights.per_rule * max(0, executed.n_rules - 1)
        if task.reference_tokens:
            above = max(0, executed.n_tokens - task.reference_tokens)
            parts["add_tokens"] = max(weights.token_cap, weights.per_token * above)
    return _scored(outcome.verdict, correct, parts)


def _reached(task: Task, executed: Executed) -> bool:
    if task.tests:
        return executed.tests.after is True and not executed.tests.suspicious
    return executed.outcome.post == task.target


def _scored(verdict: Verdict, success: bool, parts: Mapping[str, float]) -> Scored:
    value = sum(amount for name, amount in parts.items() if name.startswith("add_"))
    if success:
        verdict = Verdict.OK
    return Scored(value, verdict, success, parts)


@dataclass(frozen=True)
class Snapshot:
    """Where an episode stands; enough to go on from there."""

    task: Task
    code: str
    state: State = field(default_factory=State)
    n_steps: int = 0
    n_rules: int = 0
    n_tokens: int = 0
    earned: float = 0.0
    """The score of the last step that changed the code."""


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

    A step that changes the code is judged by the change from the task's code to where the
    episode stands then, and earns the gain in score; one that changes nothing, or is
    invalid, earns its penalty.

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
        self._now = Snapshot(task if self._tests else replace(task, tests=None), task.code)
        return self.prompt(style)

    def snapshot(self) -> Snapshot:
        """Where the episode stands."""
        if self._now is None:
            raise RuntimeError("no episode: reset(task) first")
        return self._now

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, e.g. from any step of a teacher."""
        self._now = snapshot

    def prompt(self, style: Style = "full", feedback: str = "") -> list[Message]:
        """The prompt of the next step."""
        now = self.snapshot()
        return action_prompt(now.task.instruction, now.code, now.task.language, now.state, feedback, style)

    def step(self, answer: str, n_tokens: int = 0) -> StepResult:
        """Execute an answer: a model's raw text."""
        now = self.snapshot()
        task = now.task
        executed = execute([(now, answer, n_tokens)], self._engine, self._tests)[0]
        scored = score(task, executed, self._weights)
        if scored.value is None:
            return StepResult("", None, True, scored.verdict)
        n_steps = now.n_steps + 1
        done = scored.success or n_steps >= task.max_steps
        observation = "" if done else f"{scored.verdict.value}: {executed.outcome.detail}"
        post = executed.outcome.post
        if post is None or post == now.code or executed.outcome.verdict in INVALID:
            self._now = replace(now, n_steps=n_steps, n_tokens=executed.n_tokens)
            penalty = min(scored.value, self._weights.no_change)
            return StepResult(observation, penalty, done, executed.outcome.verdict, {"add_penalty": penalty})
        self._now = replace(
            now, code=post, n_steps=n_steps, n_rules=executed.n_rules, n_tokens=executed.n_tokens,
            earned=scored.value,
        )  # fmt: skip
        return StepResult(observation, scored.value - now.earned, done, scored.verdict, scored.parts)


def execute(
    answers: Sequence[tuple[Snapshot, str, int]], engine: Engine, run_tests: TestRunner | None
) -> list[Executed]:
    """Execute answers, each from where its episode stands; actions go to the engine together."""
    parsed = [parse_response(text, now.task.language) for now, text, _ in answers]
    requests: list[Request] = []
    for (now, _, _), response in zip(answers, parsed, strict=True):
        if not isinstance(response, Rejection):
            requests.append(Request(response.action, now.code, now.task.language, now.task.target))
            requests += [
                Request(response.action, pre, now.task.language, post) for pre, post in now.task.held_out
            ]
    outcomes = iter(list(engine.judge_many(requests)))
    results = []
    for (now, _, n_tokens), response in zip(answers, parsed, strict=True):
        if isinstance(response, Rejection):
            outcome, held_out, n_rules = Outcome(response.verdict, response.detail), True, 0
        else:
            outcome = next(outcomes)
            each = [next(outcomes).ok for _ in now.task.held_out]  # every one is taken, right or not
            held_out = all(each)
            n_rules = len(response.action.rules)
        tests = _tests(now.task, outcome, run_tests)
        results.append(Executed(outcome, now.n_tokens + n_tokens, now.n_rules + n_rules, tests, held_out))
    return results


def _tests(task: Task, outcome: Outcome, run: TestRunner | None) -> Tests:
    if run is None or not task.tests or outcome.post is None or outcome.post == task.code:
        return Tests()
    before, _ = run(task.code, task)
    after, suspicious = run(outcome.post, task)
    return Tests(before, None if before is None else after, suspicious)


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
        task = self._tasks[row]
        return action_prompt(task.instruction, task.code, task.language, style=style)

    def group(self, row: int) -> str:
        return self._tasks[row].group or self._tasks[row].id

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        starts = [Snapshot(self._tasks[row], self._tasks[row].code) for row in rows]
        executed = execute(list(zip(starts, texts, n_tokens, strict=True)), self._engine, self._tests)
        return [
            score(start.task, result, self._weights) for start, result in zip(starts, executed, strict=True)
        ]


def sandbox_tests(sandbox: Any) -> TestRunner:
    """Tests by `rulewright.sandbox`, judged strictly; what was run before is remembered."""
    known: dict[tuple[str, str], tuple[bool | None, bool]] = {}

    def run(program: str, task: Task) -> tuple[bool | None, bool]:
        key = (task.id, program)
        if key not in known:
            found = sandbox.check(program, task.tests, reference=task.target)
            passed = None if found.verdict is Verdict.INFRA else bool(found.strict)
            known[key] = (passed, bool(found.flags))
        return known[key]

    return run
