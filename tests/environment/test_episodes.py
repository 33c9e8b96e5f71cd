"""Episodes of the environment, through the real engine."""

from __future__ import annotations

import pytest
from tests.environment.tasks import (
    FIRST,
    LITERAL,
    NEGATED,
    NOTHING,
    POST,
    PRE,
    RIGHT,
    SECOND,
    TASK,
    TWO,
    W,
    answer,
    record,
    values,
)

from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.environment import (
    Environment,
    EnvironmentScorer,
    Task,
    task_of,
)
from rulewright.verdict import Verdict


def test_code_elsewhere_goes_along_in_an_episode(engine: Engine) -> None:
    """Two rules, each right for one of two changes: together they are right elsewhere too."""
    pre, post = "a = old(1)\nb = gone(2)\n", "a = new(1)\nb = here(2)\n"
    held_out = (("z = old(gone(3))\n", "z = new(here(3))\n"), ("older(1)\n", "older(1)\n"))
    task = Task("t", "i", pre, "python", post, held_out=held_out, max_steps=2)
    steps = [
        answer({"rule": {"pattern": f"{a}($X)"}, "fix": f"{b}($X)"})
        for a, b in (("old", "new"), ("gone", "here"))
    ]
    literal = answer({"rule": {"pattern": "gone(2)"}, "fix": "here(2)"})
    totals = []
    for texts in (steps, [steps[0], literal]):
        environment = Environment(engine)
        environment.reset(task)
        made = [environment.step(text) for text in texts]
        assert made[-1].done
        totals.append(sum(one.reward or 0 for one in made))
    assert totals[0] == pytest.approx(1.5 + W.per_rule)
    # One of the two places elsewhere stays wrong: the sibling counts, the negative was kept.
    assert totals[1] == pytest.approx((1 - W.generality) * totals[0])


def test_the_state_of_a_record_is_in_the_first_prompt(engine: Engine) -> None:
    raw = record(state_prev={"decisions": ["keep the old name"]})
    task = task_of(NormalizedRecord.model_validate(raw))
    scorer, environment = EnvironmentScorer([task], engine, None, W), Environment(engine)
    for prompt in (scorer.prompt(0, "full"), environment.reset(task)):
        assert "keep the old name" in prompt[-1]["content"]


def test_an_episode_of_two_steps(engine: Engine) -> None:
    task = Task("t", "use `is None`", PRE, "python", POST, max_steps=3)
    environment = Environment(engine)
    prompt = environment.reset(task)
    assert PRE in prompt[-1]["content"]
    first = environment.step(FIRST)
    assert not first.done
    assert first.observation.startswith("wrong_result")
    middle = environment.snapshot()
    assert "x is None" in middle.code
    second = environment.step(SECOND)
    assert second.done
    assert second.observation == ""
    assert second.reason is Verdict.OK
    assert (first.reward or 0) + (second.reward or 0) == pytest.approx(1.5 + W.per_rule)
    # The same first answer again, and a detour after it.
    environment.reset(task)
    assert environment.step(FIRST) == first
    assert environment.snapshot() == middle
    missed = environment.step(NOTHING)
    assert missed.reward == W.no_change
    assert not missed.done
    assert environment.snapshot().code == middle.code
    # What ends right earns its score in all, detours or not: only their tokens cost.
    last = environment.step(SECOND)
    assert last.reward == pytest.approx((second.reward or 0) - W.no_change)


def test_what_is_taken_back_is_paid_back(engine: Engine) -> None:
    environment = Environment(engine)
    environment.reset(Task("t", "i", PRE, "python", POST, max_steps=4))
    first = environment.step(FIRST)
    back = environment.step(answer({"rule": {"pattern": "x is None"}, "fix": "x == None"}))
    assert environment.snapshot().code == PRE
    assert (first.reward or 0) + (back.reward or 0) == pytest.approx(W.no_change)
    last = environment.step(RIGHT)
    assert last.done
    # Three rules were written for what one does.
    total = sum(one.reward or 0 for one in (first, back, last))
    assert total == pytest.approx(1.5 + 2 * W.per_rule)


def test_an_episode_ends_at_its_bound(engine: Engine) -> None:
    environment = Environment(engine)
    environment.reset(Task("t", "i", PRE, "python", POST, max_steps=2))
    assert not environment.step("prose").done
    last = environment.step("prose")
    assert last.done
    assert last.reward == W.invalid
    with pytest.raises(RuntimeError, match="reset"):
        Environment(engine).snapshot()


def test_episodes_and_the_scorer_agree(engine: Engine) -> None:
    """The contract of every adapter: scripted episodes earn the same by both ways in."""
    answers = [RIGHT, TWO, FIRST, SECOND, NEGATED, NOTHING, LITERAL, "prose", RIGHT + RIGHT, ""]
    for text in answers:
        environment = Environment(engine)
        environment.reset(TASK)
        step = environment.step(text)
        assert [step.reward] == pytest.approx(values(engine, text))
