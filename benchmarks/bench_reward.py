"""How long a reward takes: `pytest benchmarks/bench_reward.py`.

Near pairs are one rule and the same with a word replaced, far pairs two different rules.
The teacher's side is cached, as in training, unless the name says cold.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from rulewright.actions import render_response
from rulewright.actions.action import Action
from rulewright.engine import Engine
from rulewright.srl import rule_tree
from rulewright.srl.reward_srl import gated
from rulewright.srl.scoring import StepScorer, TeacherStep
from rulewright.srl.similarity import similarity
from rulewright.state.state import State
from rulewright.verdict import Outcome, Verdict

PRE = "".join(f"value_{i} = check({i}, other == None)\n" for i in range(100))
POST = PRE.replace("== None", "is None")


def rule(rng: random.Random, n_words: int) -> dict[str, Any]:
    words = [f"name{rng.randrange(200)}($A, $B{i % 5})" for i in range(n_words)]
    half = n_words // 2
    return {
        "rule": {
            "any": [{"pattern": word} for word in words[:4]],
            "inside": {"kind": "call", "stopBy": "end"},
            "not": {"has": {"regex": "^x"}},
        },
        "constraints": {"A": {"regex": "^[a-z]+$"}},
        "fix": "\n".join(words[:half]),
    }


def pairs(n: int, n_words: int, near: bool) -> list[tuple[Action, Action]]:
    rng = random.Random(0)
    found = []
    for _ in range(n):
        one = rule(rng, n_words)
        other = {**one, "fix": one["fix"].replace("name", "other", 1)} if near else rule(rng, n_words)
        found.append((Action("python", (one,)), Action("python", (other,))))
    return found


@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
@pytest.mark.parametrize("n_words", [8, 80, 1100], ids=["0.4kB", "1kB", "10kB"])
def test_similarity(benchmark: Any, n_words: int, near: bool) -> None:
    made = pairs(50, n_words, near)
    for one, other in made:
        similarity(one, other)
    benchmark(lambda: [similarity(one, other) for one, other in made])


@pytest.mark.parametrize("n_words", [8, 1100], ids=["0.4kB", "10kB"])
def test_cold(benchmark: Any, n_words: int) -> None:
    made = pairs(50, n_words, near=False)

    def run() -> None:
        rule_tree._views.cache_clear()
        for one, other in made:
            similarity(one, other)

    benchmark(run)


def test_gated(benchmark: Any) -> None:
    """Similarity and the similarity of two changes of 100 lines."""
    ((student, teacher),) = pairs(1, 8, near=True)
    outcome = Outcome(Verdict.WRONG_RESULT, post=POST.replace("is None", "is not None"))
    benchmark(lambda: gated(outcome, student, [teacher], PRE, [POST]))


HERE = "def f(x, y):\n    if x == None:\n        return y\n    return x\n"
ELSEWHERE = tuple(
    (text, text.replace("== None", "is None"))
    for text in (HERE.replace("x", "z"), HERE.replace("y", "w"), "a == 1\n", "b is None\n")
)
ANSWERS = [
    render_response(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)))
    for pattern, fix in (
        ("$X == None", "$X is None"), ("x == None", "x is None"), ("$A == None", "$A is None"),
        ("$X == None", "$X is not None"), ("$X == Nope", "$X"), ("$X == $Y", "$X is $Y"), ("x", "y"),
    )
] + ["prose"]  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["own text", "with code elsewhere"])
def test_generality(benchmark: Any, known: bool) -> None:
    """Eight answers to a task, half of them right, with four texts elsewhere or without."""
    teacher = Action("python", ({"rule": {"pattern": "$X == None"}, "fix": "$X is None"},))
    wanted = HERE.replace("== None", "is None")
    step = TeacherStep(
        "t/0", "i", "python", HERE, State(), (teacher,), (wanted,), "g", ELSEWHERE if known else ()
    )
    with Engine(workers=1) as engine:
        scorer = StepScorer([step], "gated", engine)
        benchmark(lambda: scorer.score([0] * len(ANSWERS), ANSWERS, [1] * len(ANSWERS)))
