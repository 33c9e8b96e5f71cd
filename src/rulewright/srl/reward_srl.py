"""The rewards of SRL: plain similarity, and similarity gated by the executed effect.

Both take what the engine found (`Outcome`) and what was parsed (`Action`); neither runs anything, looks
at thinking or state, or depends on time. If our own machinery fails, a sample has no reward (`value is
None`) and can be excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from rulewright.actions.action import Action
from rulewright.srl.change import change_similarity
from rulewright.srl.elsewhere import GENERALITY, paid
from rulewright.srl.similarity import (
    FIELD_WEIGHT,
    STRING_WEIGHT,
    Similarity,
    best_similarity,
    similarity,
)  # fmt: skip
from rulewright.verdict import INVALID, Outcome, Verdict

__all__ = ["INVALID_REWARD", "Kind", "Reward", "Similarity", "gated", "is_right", "plain", "similarity"]

Kind = Literal["plain", "gated"]

INVALID_REWARD: Final = -0.2
NO_CHANGE_SPAN: Final = 0.2
WRONG_BASE: Final = 0.4
WRONG_SPAN: Final = 0.4
RIGHT_BASE: Final = 0.9
RIGHT_SPAN: Final = 0.1
_UNTRIED: Final = INVALID | {Verdict.INFRA}


@dataclass(frozen=True)
class Reward:
    """A value in [-0.2, 1] and how it came about; `None` excludes the sample."""

    value: float | None
    parts: dict[str, float] = field(default_factory=dict)
    """Components that were computed; those named `add_…` sum to the value."""


def plain(outcome: Outcome, student: Action | None, references: Sequence[Action]) -> Reward:
    """`R = clip(0.7·S_field + 0.3·S_str, -0.2, 1)`, and -0.2 for an invalid action.

    Args:
        outcome: what the engine found for the student's answer.
        student: the parsed action; `None` where there was none.
        references: the teacher's verified action, first; others that are as good.
    """
    if student is None or outcome.verdict in _UNTRIED:
        return _untried(outcome)
    found = best_similarity(student, references)
    return Reward(_clip(found.r), _parts(found, effect=0.0))


def gated(
    outcome: Outcome,
    student: Action | None,
    references: Sequence[Action],
    pre: str,
    wanted: Sequence[str],
    general: float | None = None,
    generality: float = GENERALITY,
) -> Reward:
    """Similarity scaled by what the action does (docs/reference/rewards.md).

    Same effect → 0.9 + 0.1·R; no change → 0.2·R; another effect →
    (0.4 + 0.4·(similarity of the two changes))·R; invalid → -0.2. The bounds scale R
    rather than cut it: where all answers to a prompt fail, the one that is most like the
    reference still earns most. An action that is lossy, degenerate or breaks the syntax
    never counts as having the same effect. Where code elsewhere is known, the same effect
    there too earns all of it (`elsewhere.paid`).

    Args:
        outcome: what the engine found for the student's answer.
        student: the parsed action; `None` where there was none.
        references: verified actions.
        pre: the code before.
        wanted: results of the references, tidied as the outcome's text is.
        general: how much came out right elsewhere, in [0, 1]; `None`: nothing is known elsewhere.
        generality: share of the pay that only code elsewhere earns, in [0, 1).
    """
    if student is None or outcome.verdict in _UNTRIED:
        return _untried(outcome)
    found = best_similarity(student, references)
    r = _clip(found.r)
    post = pre if outcome.post is None else outcome.post
    right = is_right(outcome, pre, wanted)
    if post == pre:
        effect, value = 0.0, NO_CHANGE_SPAN * r
    else:
        effect = max(change_similarity(pre, post, text) for text in wanted)
        value = RIGHT_BASE + RIGHT_SPAN * r if right else (WRONG_BASE + WRONG_SPAN * effect) * r
    parts = _parts(found, effect, gate=value - r)
    if general is not None:
        whole, value = value, paid(value, right, general, generality, WRONG_BASE + WRONG_SPAN)
        parts["add_generality"] = value - whole
    return Reward(value, parts)


def is_right(outcome: Outcome, pre: str, wanted: Sequence[str]) -> bool:
    """Whether an action has the effect of a reference, soundly."""
    return outcome.post != pre and outcome.post in wanted and not outcome.unsound


def _untried(outcome: Outcome) -> Reward:
    """Of what could not be compared: nothing where that is our fault, else the penalty."""
    if outcome.verdict is Verdict.INFRA:
        return Reward(None)
    return Reward(INVALID_REWARD, {"add_invalid": INVALID_REWARD})


def _parts(found: Similarity, effect: float, gate: float = 0.0) -> dict[str, float]:
    return {
        "add_field": FIELD_WEIGHT * found.s_field,
        "add_string": STRING_WEIGHT * found.s_str,
        "add_gate": gate,
        "s_field": found.s_field,
        "s_str": found.s_str,
        "s_effect": effect,
    }


def _clip(r: float) -> float:
    return min(max(r, INVALID_REWARD), 1.0)
