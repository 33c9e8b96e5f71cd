"""Compute rewards from a model's answers: the interface of trainers, and its implementation for SRL.

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
from rulewright.data.schemas import Pairs, held_out
from rulewright.engine import Engine, Request, judge_answers
from rulewright.prompts import Message, Style, action_prompt
from rulewright.srl.elsewhere import GENERALITY, TriedElsewhere, try_all
from rulewright.srl.reward_srl import Kind, gated, is_right, plain
from rulewright.state.state import State
from rulewright.state.trajectory import TrajectoryStep
from rulewright.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Scored:
    """One answer's reward, its components, and its verdict."""

    value: float | None
    """`None` leaves the sample out (our fault, not the model's)."""
    verdict: Verdict
    success: bool
    """The wanted effect, soundly; elsewhere too, where the reward pays for that."""
    parts: Mapping[str, float] = field(default_factory=dict)
    general: float | None = None
    """How much came out right elsewhere, 0 for what is not right on its own text; `None`: nothing is
    known elsewhere."""


class Scorer(Protocol):
    """What a trainer needs to know of a set of tasks."""

    def __len__(self) -> int: ...

    def prompt(self, row: int, style: Style) -> list[Message]:
        """The prompt of one task."""

    def group(self, row: int) -> str:
        """What a task shares with others that are not independent of it."""

    def reference(self, row: int) -> str:
        """The expected result of a task, for display: an answer, or the text after it."""

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
    general_rate: float | None = None
    """Answers that are right here and everywhere elsewhere, of those whose task knows code elsewhere."""
    n_general: int = 0
    """Answers whose task knows code elsewhere."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "mean_reward": round(self.mean_reward, 6),
            "success_rate": round(self.success_rate, 6),
            "n": self.n,
            "n_infra": self.n_infra,
            "general_rate": None if self.general_rate is None else round(self.general_rate, 6),
            "n_general": self.n_general,
            "verdicts": dict(self.verdicts),
            "parts": {key: round(value, 6) for key, value in self.parts.items()},
        }


def summarize(scored: Sequence[Scored]) -> Evaluation:
    """Averages over the answers that count."""
    counted = [item for item in scored if item.value is not None]
    names = sorted({name for item in counted for name in item.parts})
    general = [item.general >= 1 for item in counted if item.general is not None]
    return Evaluation(
        mean_reward=fmean(item.value for item in counted if item.value is not None) if counted else 0.0,
        success_rate=fmean(item.success for item in counted) if counted else 0.0,
        n=len(counted),
        n_infra=len(scored) - len(counted),
        verdicts=dict(sorted(Counter(item.verdict.value for item in scored).items())),
        parts={name: fmean(item.parts.get(name, 0.0) for item in counted) for name in names},
        rewards=tuple(item.value for item in scored),
        general_rate=fmean(general) if general else None,
        n_general=len(general),
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
    held_out: Pairs = ()
    """Code elsewhere on which an answer is tried as well, never shown to who answers."""


def join_references(steps: Iterable[TeacherStep]) -> list[TeacherStep]:
    """One row for each prompt, with the references of all steps that share it.

    Several solutions of one task would otherwise be rows that contradict each other: each
    pays the least for what the other one asks. The first step names the row, in its place.
    """
    rows: dict[tuple[Any, ...], TeacherStep] = {}
    for step in steps:
        key = (step.instruction, step.language, step.pre, step.state)
        if (first := rows.setdefault(key, step)) is step:
            continue
        references = [*first.references, *(new for new in step.references if new not in first.references)]
        wanted = tuple(dict.fromkeys((*first.wanted, *step.wanted)))
        # Two results here: which of the two changes is wanted elsewhere, nobody knows.
        known = (first.held_out or step.held_out) if len(wanted) == 1 else ()
        rows[key] = replace(first, references=tuple(references), wanted=wanted, held_out=known)
    return list(rows.values())


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
        held_out=held_out(step.siblings, step.negatives),
    )


class StepScorer:
    """SRL: the similarity of a student's action to the teacher's, plain or gated.

    Args:
        steps: verified steps.
        kind: of the reward.
        engine: executes the students' actions.
        generality: share of the gated pay that only code elsewhere earns; 0: none.
    """

    def __init__(
        self, steps: Sequence[TeacherStep], kind: Kind, engine: Engine, generality: float = GENERALITY
    ) -> None:
        self.steps, self._kind, self._engine = steps, kind, engine
        self._generality = generality if kind == "gated" else 0.0

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
        judged = [
            (step, one.action, one.outcome)
            for step, one in zip(steps, judge_answers(self._engine, requests), strict=True)
        ]
        asked = {
            place: (action, step.held_out)
            for place, (step, action, outcome) in enumerate(judged)
            if step.held_out and action is not None and is_right(outcome, step.pre, step.wanted)
        }
        tried = try_all(self._engine, asked)
        return [self._scored(*one, tried.get(place)) for place, one in enumerate(judged)]

    def _scored(
        self, step: TeacherStep, action: Action | None, outcome: Outcome, tried: TriedElsewhere | None
    ) -> Scored:
        if tried is not None and tried.share is None:
            outcome = Outcome(Verdict.INFRA)
        right = is_right(outcome, step.pre, step.wanted)
        if outcome.verdict is Verdict.WRONG_RESULT and right:
            # The engine compared with the first result only.
            outcome = replace(outcome, verdict=Verdict.OK, detail="")
        share = tried.share if tried else 0.0
        general = share if step.held_out and outcome.verdict is not Verdict.INFRA else None
        if self._kind == "plain":
            reward = plain(outcome, action, step.references)
        else:
            reward = gated(outcome, action, step.references, step.pre, step.wanted, general, self._generality)
        literal = {} if action is None else {"literal": float(is_literal(action))}
        success = outcome.ok and (general is None or general >= 1 or not self._generality)
        return Scored(reward.value, outcome.verdict, success, {**reward.parts, **literal}, general)
