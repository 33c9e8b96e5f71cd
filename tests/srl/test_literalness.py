"""Where a rule stops describing a change and begins to repeat code: counted in tokens, bound by bound."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rulewright.actions import Action, render_action
from rulewright.srl.literalness import (
    FREE_NEW_TOKENS,
    FREE_TOKENS,
    TOKENS_A_VARIABLE,
    is_general,
    is_memorized,
    spelled,
    step_is_memorized,
)
from rulewright.state.trajectory import TrajectoryStep


def rule(matched: int, variables: int = 0, new: int = 0) -> dict[str, Any]:
    """A rule that spells out so many tokens, has so many variables, and brings so many new tokens."""
    old = [f"w{i}" for i in range(matched)]
    captured = [f"$V{i}" for i in range(variables)]
    return {
        "rule": {"pattern": " ".join(old + captured)},
        "fix": " ".join([*captured, *(f"n{i}" for i in range(new))]),
    }


def test_the_bounds_are_those_that_the_docs_give() -> None:
    assert (FREE_TOKENS, TOKENS_A_VARIABLE, FREE_NEW_TOKENS) == (12, 8, 24)


@pytest.mark.parametrize(
    ("most", "one_more"),
    [
        (rule(12), rule(13)),
        (rule(20, variables=1), rule(21, variables=1)),
        (rule(28, variables=2), rule(29, variables=2)),
        (rule(3, new=24), rule(3, new=25)),
        (rule(3, variables=2, new=24), rule(3, variables=2, new=25)),
    ],
)
def test_the_last_token_that_is_free(most: dict[str, Any], one_more: dict[str, Any]) -> None:
    assert not is_memorized(most)
    assert is_memorized(one_more)


def test_what_counts() -> None:
    assert spelled(rule(5, 2, 3)) == (5, 2, 3)
    # Context and regex are matched too, at any depth; a transform, rewriters and metadata are not.
    deep = {
        "rule": {"all": [{"pattern": {"context": "a $A", "selector": "x"}}, {"inside": {"regex": "b"}}]},
        "transform": {"T": {"replace": {"source": "$A", "replace": "c", "by": "d"}}},
        "rewriters": [{"id": "r", "rule": {"pattern": "e"}, "fix": "f"}],
        "metadata": {"pattern": "g"},
        "fix": {"template": "a h", "expandEnd": {"regex": "i"}},
    }
    assert spelled(deep) == (2, 1, 1)
    # A variable that stands alone says nothing, and one that occurs twice is one.
    assert spelled({"rule": {"any": [{"pattern": "$A"}, {"pattern": "f($B, $B)"}]}, "fix": "$B"}) == (4, 1, 0)
    # What the fix repeats of the match is not new, as often as it stands there.
    assert spelled({"rule": {"pattern": "a b"}, "fix": "a a b"}) == (2, 0, 1)
    assert spelled({"rule": {"pattern": "a"}}) == (1, 0, 0)


SHORT, LONG = rule(12), rule(13)


@pytest.mark.parametrize(
    ("rules", "usage", "memorized", "general"),
    [
        ([SHORT], {}, False, True),
        ([LONG], {}, True, False),
        ([SHORT, LONG], {}, True, False),
        ([LONG], {"tier": "train"}, True, True),
        ([SHORT], {"shapes": ["run"]}, True, False),
        ([SHORT], {"shapes": ["pattern"]}, False, True),
        (None, {"shapes": ["run"]}, False, True),  # a step without an action
    ],
)
def test_a_step_is_memorized_if_one_of_its_rules_is(
    rules: list[dict[str, Any]] | None, usage: dict[str, Any], memorized: bool, general: bool
) -> None:
    action = json.loads(render_action(Action("python", tuple(rules)))) if rules is not None else None
    step = TrajectoryStep.model_validate({
        "task_id": "t", "step": 0, "language": "python", "instruction": "i", "pre_code": "a\n",
        "teacher": {"action": action}, "env": {"verdict": "ok"},
        "provenance": {"teacher": "t", "usage": usage},
    })  # fmt: skip
    assert (step_is_memorized(step), is_general(step)) == (memorized, general)
