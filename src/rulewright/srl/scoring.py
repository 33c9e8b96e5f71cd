"""From what a model wrote to rewards: the contract of trainers, and SRL's side of it.

Model-written actions are executed in the engine's worker processes, under a deadline.
No torch here: rewards, evaluation and reports use it as trainers do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Protocol

from rulewright.actions import Action, Rejection, is_literal, parse_action, render_response
from rulewright.engine import Engine, Request, judge_answers
from rulewright.prompts import Message, Style, action_prompt
from rulewright.srl.reward_srl import Kind, score
from rulewright.state.state import State
from rulewright.state.trajectory import TrajectoryStep
from rulewright.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Scored:
    """One answer's reward, its components, and how the answer fared."""

    value: float | None
    """`None` leaves the sample out (our fault, not the model's)."""
    verdict: Verdict
    success: bool
    """The wanted effect, soundly."""
    parts: Mapping[str, float] = field(default_factory=dict)


class Scorer(Protocol):
    """What a trainer needs to know of a set of tasks."""

    def __len__(self) -> int: ...

    def prompt(self, row: int, style: Style) -> list[Message]:
        """The prompt of one task."""

    def group(self, row: int) -> str:
        """What a task shares with others that are not independent of it."""

    def reference(self, row: int) -> str:
        """What is wanted of one task, for people: an answer, or the text after it."""

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        """Rewards of answers to tasks; `n_tokens` is the length of each answer."""


@dataclass(frozen=True)
class Evaluation:
    """Mean reward and success of a policy on a fixed set."""

    mean_reward: float
    success_rate: float
    """Answers with the wanted effect, of all that are not `infra`."""
    n: int
    n_infra: int
    verdicts: Mapping[str, int]
    parts: Mapping[str, float]
    rewards: tuple[float | None, ...] = ()
    """One per answer, rows in order, samples of a row together."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "mean_reward": round(self.mean_reward, 6),
            "success_rate": round(self.success_rate, 6),
            "n": self.n,
            "n_infra": self.n_infra,
            "verdicts": dict(self.verdicts),
            "parts": {key: round(value, 6) for key, value in self.parts.items()},
        }


def summarize(scored: Sequence[Scored]) -> Evaluation:
    """Averages over the answers that count."""
    counted = [item for item in scored if item.value is not None]
    names = sorted({name for item in counted for name in item.parts})
    return Evaluation(
        mean_reward=fmean(item.value for item in counted if item.value is not None) if counted else 0.0,
        success_rate=fmean(item.success for item in counted) if counted else 0.0,
        n=len(counted),
        n_infra=len(scored) - len(counted),
        verdicts=dict(sorted(Counter(item.verdict.value for item in scored).items())),
        parts={name: fmean(item.parts.get(name, 0.0) for item in counted) for name in names},
        rewards=tuple(item.value for item in scored),
    )


@dataclass(frozen=True)
class TeacherStep:
    """What SRL needs of the verified steps of one task in one state."""

    id: str
    instruction: str
    language: Any
    pre: str
    state: State
    references: tuple[Action, ...]
    """Every solution; an answer is compared with the one that it is most like."""
    wanted: tuple[str, ...]
    """Their results, each once."""
    group: str
    """Split group of the task."""


def join_references(steps: Iterable[TeacherStep]) -> list[TeacherStep]:
    """One row for each prompt, with the references of all steps that share it.

    Several solutions of one task would otherwise be rows that contradict each other: each
    pays the least for what the other one asks. The first step names the row, in its place.
    """
    rows: dict[tuple[Any, ...], TeacherStep] = {}
    for step in steps:
        key = (step.instruction, step.language, step.pre, step.state)
        first = rows.get(key)
        rows[key] = step if first is None else _joined(first, step)
    return list(rows.values())


def _joined(first: TeacherStep, step: TeacherStep) -> TeacherStep:
    references = [*first.references, *(new for new in step.references if new not in first.references)]
    wanted = dict.fromkeys((*first.wanted, *step.wanted))
    return replace(first, references=tuple(references), wanted=tuple(wanted))


def teacher_step(step: TrajectoryStep) -> TeacherStep | str:
    """Take what SRL needs of a step, or say why it cannot be used."""
    if step.env.verdict is not Verdict.OK or step.env.post_code is None:
        return f"not verified ({step.env.verdict.value})"
    if step.teacher.action is None:
        return "no teacher action"
    raw = json.dumps(step.teacher.action, ensure_ascii=False)
    action = parse_action(raw, step.language)
    if isinstance(action, Rejection):
        return f"teacher action {action.verdict.value}: {action.detail}"
    return TeacherStep(
        id=f"{step.task_id}/{step.step}",
        instruction=step.instruction,
        language=step.language,
        pre=step.pre_code,
        state=State.from_dict(step.state_prev),
        references=(action,),
        wanted=(step.env.post_code,),
        group=step.provenance.group or step.task_id,
    )


class StepScorer:
    """SRL: the similarity of a student's action to the teacher's, plain or gated.

    Args:
        steps: verified steps.
        kind: of the reward.
        engine: executes the students' actions.
    """

    def __init__(self, steps: Sequence[TeacherStep], kind: Kind, engine: Engine) -> None:
        self.steps, self._kind, self._engine = steps, kind, engine

    def __len__(self) -> int:
        return len(self.steps)

    def prompt(self, row: int, style: Style) -> list[Message]:
        step = self.steps[row]
        return action_prompt(step.instruction, step.pre, step.language, step.state, style=style)

    def group(self, row: int) -> str:
        return self.steps[row].group

    def reference(self, row: int) -> str:
        return render_response(self.steps[row].references[0])

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        steps = [self.steps[row] for row in rows]
        requests = [
            Request(text, step.pre, step.language, step.wanted[0])
            for step, text in zip(steps, texts, strict=True)
        ]
        judged = judge_answers(self._engine, requests)
        return [
            self._scored(step, response.action if response else None, outcome)
            for step, (response, outcome) in zip(steps, judged, strict=True)
        ]

    def _scored(self, step: TeacherStep, action: Action | None, outcome: Outcome) -> Scored:
        if outcome.verdict is Verdict.WRONG_RESULT and outcome.post in step.wanted and not outcome.unsound:
            # The engine compared with the first result only.
            outcome = replace(outcome, verdict=Verdict.OK, detail="")
        reward = score(self._kind, outcome, action, step.references, step.pre, step.wanted)
        literal = {} if action is None else {"literal": float(is_literal(action))}
        return Scored(reward.value, outcome.verdict, outcome.ok, {**reward.parts, **literal})
