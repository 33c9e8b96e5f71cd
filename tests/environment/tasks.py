"""A task, answers to it, and what they earn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rulewright.actions import Action, render_action, render_response
from rulewright.engine import Engine
from rulewright.environment import (
    EnvironmentScorer,
    Task,
    Weights,
    action_tokens,
)

PRE = "def f(x, y):\n    if x == None:\n        return y == None\n    return x\n"
POST = "def f(x, y):\n    if x is None:\n        return y is None\n    return x\n"
W = Weights()
GENERAL = Action("python", ({"rule": {"pattern": "$X == None"}, "fix": "$X is None"},))
TASK = Task("t", "use `is None`", PRE, "python", POST, reference_tokens=action_tokens(render_action(GENERAL)))


def answer(*rules: dict[str, Any]) -> str:
    return render_response(Action("python", rules))


RIGHT = render_response(GENERAL)
FIRST = answer({"rule": {"pattern": "x == None"}, "fix": "x is None"})
SECOND = answer({"rule": {"pattern": "y == None"}, "fix": "y is None"})
TWO = answer(
    {"rule": {"pattern": "x == None"}, "fix": "x is None"},
    {"rule": {"pattern": "y == None"}, "fix": "y is None"},
)
NEGATED = answer({"rule": {"pattern": "$X == None"}, "fix": "$X is not None"})
NOTHING = answer({"rule": {"pattern": "zzz"}, "fix": "z"})
LITERAL = answer({"rule": {"kind": "module"}, "fix": POST.rstrip("\n")})


def values(engine: Engine, *answers: str, task: Task = TASK) -> list[float]:
    scorer = EnvironmentScorer([task], engine, None, W)
    found = scorer.score([0] * len(answers), answers, [60] * len(answers))
    for scored in found:
        assert scored.value == pytest.approx(sum(v for k, v in scored.parts.items() if k.startswith("add_")))
    return [scored.value for scored in found if scored.value is not None]


def record(**metadata: Any) -> dict[str, Any]:
    return {
        "instruction": "i", "pre": PRE, "post": POST, "language": "python",
        "metadata": {
            "id": "0123456789", "source": "s", "license": "mit", "group": "g",
            "action": json.dumps(json.loads(render_action(GENERAL)), indent=4), **metadata,
        },
    }  # fmt: skip
