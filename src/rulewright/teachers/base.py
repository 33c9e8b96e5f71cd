"""The interface of teachers, which propose the next step of an episode.

Teachers only propose. The engine and the sandbox judge the proposals (`srl_teacher`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rulewright.actions import Action, Rejection, describe_rule, parse_action, render_response
from rulewright.generation import Generator, Sampling
from rulewright.mining import mine
from rulewright.prompts import Message, action_prompt, digest
from rulewright.state.state import State, StateUpdate
from rulewright.teachers.tasks import TeacherTask


@dataclass(frozen=True)
class Turn:
    """The state of an episode: the input of a teacher."""

    task: TeacherTask
    code: str
    state: State
    step: int = 0
    sample: int = 0
    attempt: int = 0
    feedback: str = ""


@dataclass(frozen=True)
class Suggestion:
    """What a teacher wrote, raw, with what it cost."""

    text: str
    prompt_digest: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    more: bool = False
    """The teacher knows that further steps follow."""
    failed: str = ""
    """Why there is no answer through no fault of the teacher's; the episode is owed again."""


class Teacher(Protocol):
    """Proposes the next step for each of several episodes."""

    name: str
    model: str

    def propose(self, turns: Sequence[Turn]) -> Iterator[tuple[int, Suggestion]]:
        """Yield `(place of the turn, proposal)` as they become ready, in any order."""
        ...

    def params(self) -> dict[str, Any]:
        """What shapes the answers beside the task; part of an episode's key."""
        ...


class ModelTeacher:
    """A checkpoint or an OpenAI-compatible endpoint, asked with the common prompt."""

    def __init__(self, name: str, generator: Generator, sampling: Sampling) -> None:
        self.name, self.model = name, generator.name
        self._generator, self._sampling = generator, sampling

    def params(self) -> dict[str, Any]:
        sampling = self._sampling
        return {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_new_tokens": sampling.max_new_tokens,
            "prompt_style": self._generator.style,
        }

    def prompt(self, turn: Turn) -> list[Message]:
        task, style = turn.task, self._generator.style
        return action_prompt(task.instruction, turn.code, task.language, turn.state, turn.feedback, style)

    def propose(self, turns: Sequence[Turn]) -> Iterator[tuple[int, Suggestion]]:
        for sample in sorted({turn.sample for turn in turns}):
            # Samples of one task differ by their seed: an answer depends on prompt and seed only.
            sampling = replace(self._sampling, seed=self._sampling.seed + sample)
            places = [i for i, turn in enumerate(turns) if turn.sample == sample]
            prompts = [self.prompt(turns[i]) for i in places]
            languages = [turns[i].task.language for i in places]
            for place, (answer,) in self._generator.stream(prompts, sampling, languages):
                usage: dict[str, Any] = {
                    "prompt_tokens": answer.n_prompt_tokens,
                    "completion_tokens": answer.n_tokens,
                    "finish_reason": answer.finish_reason,
                }
                if answer.reasoning:
                    usage["reasoning"] = answer.reasoning
                failed = "" if answer.answered else answer.error or answer.finish_reason
                yield places[place], Suggestion(answer.text, digest(prompts[place]), usage, failed=failed)


class MinerTeacher:
    """The rule miner, which sees the target: rules from the edit, one rule a step."""

    name, model = "miner", "rulewright.mining"

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s

    def params(self) -> dict[str, Any]:
        return {"budget_s": self._budget_s}

    def propose(self, turns: Sequence[Turn]) -> Iterator[tuple[int, Suggestion]]:
        return ((i, self._one(turn)) for i, turn in enumerate(turns))

    def _one(self, turn: Turn) -> Suggestion:
        if turn.task.target is None:
            return Suggestion("", usage={"reason": "no target to mine from"})
        mined = mine(
            turn.code,
            turn.task.target,
            turn.task.language,
            budget_s=self._budget_s,
            instruction=turn.task.instruction,
        )
        if mined.action is None:
            return Suggestion("", usage={"reason": mined.reason})
        usage = {"tier": mined.tier, "tier_reason": mined.reason, "shapes": list(mined.shapes)}
        return first_rule(mined.action, usage)


class GoldTeacher:
    """The verified action that a record came with, one rule a step."""

    name, model = "gold", "record"

    def params(self) -> dict[str, Any]:
        return {}

    def propose(self, turns: Sequence[Turn]) -> Iterator[tuple[int, Suggestion]]:
        return ((i, self._one(turn)) for i, turn in enumerate(turns))

    def _one(self, turn: Turn) -> Suggestion:
        if turn.task.action is None:
            return Suggestion("", usage={"reason": "the record has no action"})
        action = parse_action(turn.task.action, turn.task.language)
        if isinstance(action, Rejection):
            return Suggestion("", usage={"reason": action.detail})
        remaining = Action(action.language, action.rules[turn.step :], action.mode)
        usage = {"tier": turn.task.tier} if turn.task.tier else {}
        return first_rule(remaining, usage) if remaining.rules else Suggestion("")


def first_rule(action: Action, usage: dict[str, Any]) -> Suggestion:
    """Propose the first rule of a sequence, saying in words what it does."""
    rule = action.rules[0]
    single = Action(action.language, (rule,), action.mode)
    more = len(action.rules) > 1
    update = StateUpdate(next_focus=f"{len(action.rules) - 1} more rules") if more else StateUpdate()
    return Suggestion(render_response(single, describe_rule(rule), update), usage=usage, more=more)
