"""The reward of an answer: a pure function of its execution.

The change is rewarded, never the file: doing nothing earns nothing. Invariant: every correct
answer earns more than every incorrect one, whatever the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from rulewright.config import Section
from rulewright.environment.task import Task, Tests
from rulewright.srl.change import change_similarity
from rulewright.srl.elsewhere import GENERALITY, paid
from rulewright.srl.scoring import Scored
from rulewright.verdict import INVALID, Outcome, Verdict

# How far the worst correct answer stands above the best incorrect one.
MARGIN: Final = 0.05

_Amount = Annotated[float, Field(ge=0, le=1000)]
_Charge = Annotated[float, Field(ge=-1000, le=0)]


class Weights(Section):
    """What the parts of the reward are worth (docs/reference/rewards.md).

    Any weights keep every correct answer above every incorrect one: an incorrect answer
    earns at most `wrong_cap`, and a correct one at least `wrong_cap` and `MARGIN` after
    all charges.
    """

    invalid: _Charge = -0.5
    """An action that could not be tried."""
    no_change: _Charge = -0.2
    """One that changed nothing, or replaced the file by a literal."""
    code: _Amount = 1.5
    """Times the similarity of the change to the wanted one, in [0, 1]."""
    tests: _Amount = 0.5
    """If tests that failed now pass and none broke."""
    wrong_cap: _Amount = 1.1
    """Most that an answer earns in all if it is not correct."""
    per_rule: _Charge = -0.05
    """For every rule after the first; only when correct."""
    per_token: _Charge = -0.001
    """For every token of the action above the reference's length; only when correct."""
    token_cap: _Charge = -0.15
    """The token charge is never worse than this."""
    charge_cap: _Charge = -0.3
    """The charges for rules and tokens together are never worse than this."""
    unsound_code: float = Field(default=0.5, ge=0, le=1)
    """Most that the similarity counts where code was dropped, broken, or a test broke."""
    generality: float = Field(default=GENERALITY, ge=0, lt=1)
    """Share of the pay that an answer earns only by what it does elsewhere, where the task knows code
    elsewhere; 0: what it does there does not count."""

    @property
    def right_floor(self) -> float:
        """Least that the code part of a correct answer is worth, before charges."""
        return self.wrong_cap - self.charge_cap + MARGIN


@dataclass(frozen=True)
class Executed:
    """What executing an answer came to: all that a score depends on."""

    outcome: Outcome
    n_tokens: int = 0
    """Of the actions so far, by `action_tokens`."""
    n_rules: int = 0
    tests: Tests = field(default_factory=Tests)
    general: float = 0.0
    """How much of `Task.held_out` came out right, in [0, 1]; looked at where the own text did."""
    literal: bool = False
    """The action has no metavariable: it can make this very change only."""
    elsewhere: tuple[str, ...] = ()
    """The texts of `Task.held_out` after the action, where it was tried on them."""


def score(task: Task, executed: Executed, weights: Weights) -> Scored:
    """The reward of an answer and its parts; those named `add_…` sum to the value."""
    outcome = executed.outcome
    if outcome.verdict is Verdict.INFRA:
        return Scored(None, Verdict.INFRA, False)
    general = 0.0 if task.held_out else None
    if outcome.verdict in INVALID:
        return _scored(outcome.verdict, False, {"add_invalid": weights.invalid}, general)
    flags = outcome.flags | {outcome.verdict}
    if outcome.post is None or outcome.post == task.code or Verdict.DEGENERATE in flags:
        parts = {"add_no_change": weights.no_change, "s_code": 0.0}
        return _scored(outcome.verdict, False, parts, general)
    if task.tests and executed.tests.after is None:
        return Scored(None, Verdict.INFRA, False)
    sound = not outcome.unsound and not executed.tests.broken
    similar = change_similarity(task.code, outcome.post, task.target) if task.target is not None else 0.0
    counted = similar if sound else min(similar, weights.unsound_code)
    correct = right_here(task, outcome, executed.tests)
    parts = {
        "add_code": weights.code * counted,
        "add_tests": weights.tests if executed.tests.repaired and correct else 0.0,
        "s_code": similar,
        "tests": float(executed.tests.after is True),
        "literal": float(executed.literal),
    }
    if correct:
        parts |= _for_correct(task, executed, weights, parts["add_code"])
    else:
        parts["add_cap"] = min(0.0, weights.wrong_cap - parts["add_code"])
    if general is None:
        return _scored(outcome.verdict, correct, parts)
    general = executed.general if correct else 0.0
    whole = _sum(parts)
    parts["add_generality"] = paid(whole, correct, general, weights.generality, weights.wrong_cap) - whole
    return _scored(outcome.verdict, correct and (general >= 1 or not weights.generality), parts, general)


def _for_correct(task: Task, executed: Executed, weights: Weights, code: float) -> dict[str, float]:
    """What only a correct answer gets: a floor, and charges for rules and tokens."""
    rules = max(weights.charge_cap, weights.per_rule * max(0, executed.n_rules - 1))
    tokens = 0.0
    if task.reference_tokens:
        above = max(0, executed.n_tokens - task.reference_tokens)
        tokens = max(weights.token_cap, weights.charge_cap - rules, weights.per_token * above)
    return {
        "add_floor": max(0.0, weights.right_floor - code),
        "add_rules": rules,
        "add_tokens": tokens,
    }


def right_here(task: Task, outcome: Outcome, tests: Tests) -> bool:
    """Whether an answer does, soundly, what was asked of the task's own code.

    Tests prove it only if they failed before: where they passed already, any change that
    breaks nothing would do, so the target decides too.
    """
    if outcome.post in (None, task.code) or outcome.unsound or tests.broken:
        return False
    at_target = outcome.post == task.target
    if not task.tests:
        return at_target
    return tests.after is True and not tests.suspicious and (tests.before is False or at_target)


def _scored(
    verdict: Verdict, success: bool, parts: Mapping[str, float], general: float | None = None
) -> Scored:
    return Scored(_sum(parts), Verdict.OK if success else verdict, success, parts, general)


def _sum(parts: Mapping[str, float]) -> float:
    return sum(amount for name, amount in parts.items() if name.startswith("add_"))
