"""The tour: one edit, the rule learned from it, other places, three near misses, and rewards.

Nothing is asked of a model and nothing is downloaded: the rule miner, the engine and the
rewards run here, on a small example that comes with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rulewright import yaml12
from rulewright.actions import Action, Rejection, read_action, render_action, render_response
from rulewright.config import Section
from rulewright.errors import RulewrightError
from rulewright.languages import Language
from rulewright.verdict import Outcome

if TYPE_CHECKING:
    from rulewright.engine import Engine
    from rulewright.environment import Task
    from rulewright.mining import Mined
    from rulewright.srl.reward_srl import Reward
    from rulewright.srl.scoring import Scored

EXAMPLE: Final = Path(__file__).with_name("tour.yaml")
_BUDGET_S: Final = 2.0


class Elsewhere(Section):
    """Code where the rule was not learned."""

    path: str
    code: str
    wanted: str | None = None
    """What the user wants of it; `None`: nothing may change."""


class NearMiss(Section):
    """A rule that a model might write instead."""

    name: str
    rule: str


class Tour(Section):
    """What is given: everything that is shown beside it is computed."""

    instruction: str
    language: Language
    path: str
    pre: str
    post: str
    elsewhere: tuple[Elsewhere, ...]
    near_misses: tuple[NearMiss, ...]


@dataclass(frozen=True)
class TourAnswer:
    """One rule and its verdict."""

    name: str
    action: Action
    outcome: Outcome
    """On the edit itself."""
    elsewhere: tuple[Outcome, ...]
    """On the other places."""
    srl: Reward
    grpo: Scored


def read() -> Tour:
    return Tour.model_validate(yaml12.load(EXAMPLE.read_text(encoding="utf-8")))


def compute(example: Tour) -> tuple[Mined, list[TourAnswer]]:
    """Learn the rule, execute it and the near misses everywhere, and reward them.

    Returns:
        what the miner found, and the answers: the learned rule first.

    Raises:
        RulewrightError: the miner found no rule.
    """
    from rulewright.engine import Engine
    from rulewright.environment import Task, action_tokens
    from rulewright.mining import mine

    mined = mine(example.pre, example.post, example.language, _BUDGET_S)
    if mined.action is None:
        raise RulewrightError(f"the miner found no rule: {mined.reason}", "rulewright doctor")
    actions = {"learned": mined.action}
    for miss in example.near_misses:
        action = read_action(miss.rule)
        if isinstance(action, Rejection):
            raise RulewrightError(f"{EXAMPLE.name}: {miss.name}: {action.detail}", "reinstall the package")
        actions[miss.name] = action
    task = Task(
        "tour",
        example.instruction,
        example.pre,
        example.language,
        target=example.post,
        reference_tokens=action_tokens(render_action(mined.action)),
        held_out=tuple((place.code, place.wanted or place.code) for place in example.elsewhere),
    )
    with Engine(workers=1) as engine:
        return mined, _answers(actions, mined.action, task, engine)


def _answers(actions: Mapping[str, Action], teacher: Action, task: Task, engine: Engine) -> list[TourAnswer]:
    """Each action on the edit and elsewhere, with SRL's reward beside `teacher` and GRPO's."""
    from rulewright.engine import Request
    from rulewright.environment import EnvironmentScorer, Weights
    from rulewright.srl.reward_srl import gated

    texts = [render_response(action) for action in actions.values()]
    scorer = EnvironmentScorer([task], engine, None, Weights())
    scored = scorer.score([0] * len(texts), texts, [0] * len(texts))
    places = [(task.code, task.target), *task.held_out]
    made = []
    for (name, action), grpo in zip(actions.items(), scored, strict=True):
        own, *others = engine.judge_many(
            Request(action, code, task.language, wanted) for code, wanted in places
        )
        srl = gated(own, action, [teacher], task.code, [task.target or ""], grpo.general)
        made.append(TourAnswer(name, action, own, tuple(others), srl, grpo))
    return made
