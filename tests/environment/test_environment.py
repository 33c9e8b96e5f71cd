"""The environment's reward: pure scoring, episodes through the real engine, tests in the sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions import Action, render_response
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.environment import (
    Environment,
    EnvironmentScorer,
    Executed,
    Task,
    Tests,
    Weights,
    sandbox_tests,
    score,
    task_of,
)
from rulewright.verdict import INVALID, Outcome, Verdict

PRE = "def f(x, y):\n    if x == None:\n        return y == None\n    return x\n"
POST = "def f(x, y):\n    if x is None:\n        return y is None\n    return x\n"
TASK = Task("t", "use `is None`", PRE, "python", POST, reference_tokens=60)
W = Weights()


def answer(*rules: dict[str, Any]) -> str:
    return render_response(Action("python", rules))


RIGHT = answer({"rule": {"pattern": "$X == None"}, "fix": "$X is None"})
FIRST = answer({"rule": {"pattern": "x == None"}, "fix": "x is None"})
SECOND = answer({"rule": {"pattern": "y == None"}, "fix": "y is None"})
TWO = answer(
    {"rule": {"pattern": "x == None"}, "fix": "x is None"},
    {"rule": {"pattern": "y == None"}, "fix": "y is None"},
)
NEGATED = answer({"rule": {"pattern": "$X == None"}, "fix": "$X is not None"})
NOTHING = answer({"rule": {"pattern": "zzz"}, "fix": "z"})
LITERAL = answer({"rule": {"kind": "module"}, "fix": POST.rstrip("\n")})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(workers=1, deadline_s=5.0) as engine:
        yield engine


def values(engine: Engine, *answers: str, task: Task = TASK) -> list[float]:
    scorer = EnvironmentScorer([task], engine, None, W)
    found = scorer.score([0] * len(answers), answers, [60] * len(answers))
    for scored in found:
        assert scored.value == pytest.approx(sum(v for k, v in scored.parts.items() if k.startswith("add_")))
    return [scored.value for scored in found if scored.value is not None]


def test_the_order_of_answers(engine: Engine) -> None:
    found = values(engine, RIGHT, TWO, FIRST, NOTHING, "prose")
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert found[0] == 1.5
    assert found[1] == pytest.approx(1.45)
    assert found[3:] == [W.no_change, W.invalid]


def test_doing_nothing_and_pasting_the_answer_earn_nothing(engine: Engine) -> None:
    for text in (NOTHING, LITERAL):
        assert values(engine, text) == [W.no_change]


def test_length_is_charged_only_when_correct_and_above_the_reference() -> None:
    right = Executed(Outcome(Verdict.OK, post=POST), n_tokens=60, n_rules=1)
    wrong = Executed(Outcome(Verdict.WRONG_RESULT, post="x = 1\n"), n_tokens=5000, n_rules=9)
    assert score(TASK, right, W).value == 1.5
    longer = [score(TASK, Executed(right.outcome, n, 1), W).value for n in (60, 100, 210, 10_000)]
    assert longer == [1.5, pytest.approx(1.46), pytest.approx(1.35), pytest.approx(1.35)]
    assert "add_tokens" not in score(TASK, wrong, W).parts
    assert "add_rules" not in score(TASK, wrong, W).parts
    without = Task("t", "i", PRE, "python", POST)
    assert score(without, Executed(right.outcome, 10_000, 1), W).value == 1.5


TESTED = Task("t", "i", PRE, "python", POST, tests="assert True")


def test_tests_count_when_failing_ones_pass_and_none_broke() -> None:
    outcome = Outcome(Verdict.OK, post=POST)
    repaired = score(TESTED, Executed(outcome, tests=Tests(before=False, after=True)), W)
    assert repaired.value == 2.0
    assert repaired.success
    passed_before = score(TESTED, Executed(outcome, tests=Tests(before=True, after=True)), W)
    assert passed_before.value == 1.5
    broke = score(TESTED, Executed(outcome, tests=Tests(before=True, after=False)), W)
    assert broke.value == pytest.approx(0.75)
    assert not broke.success
    forged = score(TESTED, Executed(outcome, tests=Tests(before=False, after=True, suspicious=True)), W)
    assert forged.value == 1.5
    assert not forged.success
    ours = score(TESTED, Executed(outcome, tests=Tests(before=False, after=None)), W)
    assert ours.value is None


def test_an_over_general_rule_fails_on_held_out_code(engine: Engine) -> None:
    held_out = (("a = b == 1\nc = d == None\n", "a = b == 1\nc = d is None\n"),)
    task = Task("t", "i", PRE, "python", POST, held_out=held_out)
    greedy = answer({"rule": {"pattern": "$X == $Y"}, "fix": "$X is $Y"})
    scorer = EnvironmentScorer([task], engine, None, W)
    found = scorer.score([0, 0], [RIGHT, greedy], [1, 1])
    assert [scored.success for scored in found] == [True, False]


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
    assert second.reason is Verdict.OK
    assert (first.reward or 0) + (second.reward or 0) == pytest.approx(1.5 + W.per_rule)
    # From a snapshot on, the same answers earn the same.
    environment.restore(middle)
    missed = environment.step(NOTHING)
    assert missed.reward == W.no_change
    assert not missed.done
    assert environment.snapshot().code == middle.code
    assert environment.step(SECOND).reward == second.reward


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
        step = environment.step(text, 60)
        assert [step.reward] == pytest.approx(values(engine, text))


@settings(deadline=None)
@given(
    verdict=st.sampled_from(list(Verdict)),
    flags=st.frozensets(st.sampled_from([Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR])),
    post=st.sampled_from([None, PRE, POST, "x = 1\n", ""]),
    before=st.sampled_from([None, True, False]),
    after=st.sampled_from([None, True, False]),
    n_tokens=st.integers(0, 5000),
    n_rules=st.integers(0, 9),
    tested=st.booleans(),
)
def test_bounds(
    verdict: Verdict, flags: frozenset[Verdict], post: str | None, before: bool | None, after: bool | None,
    n_tokens: int, n_rules: int, tested: bool,
) -> None:  # fmt: skip
    executed = Executed(Outcome(verdict, post=post, flags=flags), n_tokens, n_rules, Tests(before, after))
    scored = score(TESTED if tested else TASK, executed, W)
    if scored.value is None:
        assert verdict is Verdict.INFRA or (tested and after is None)
        return
    assert W.invalid <= scored.value <= 2.0
    if verdict in INVALID:
        assert scored.value == W.invalid
    elif post in (None, PRE) or Verdict.DEGENERATE in flags | {verdict}:
        assert scored.value == W.no_change
    if scored.success:
        assert post == POST or (tested and after)
        assert scored.verdict is Verdict.OK


def test_a_record_is_a_task() -> None:
    record = NormalizedRecord.model_validate(
        {
            "instruction": "i", "pre": PRE, "post": POST, "language": "python",
            "metadata": {
                "id": "0123456789", "source": "s", "license": "mit", "group": "g", "tests": "assert f",
                "action": '{"action": {}}',
            },
        }
    )  # fmt: skip
    task = task_of(record)
    assert (task.code, task.target, task.tests, task.group) == (PRE, POST, "assert f", "g")
    assert task.reference_tokens > 5


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no sandbox on this machine")
def test_tests_run_in_the_sandbox(engine: Engine) -> None:
    from rulewright.sandbox.runner import open_sandbox

    pre = "def add(a, b):\n    return a - b\n"
    post = "def add(a, b):\n    return a + b\n"
    task = Task(
        "t",
        "add, do not subtract",
        pre,
        "python",
        post,
        tests="assert add(1, 2) == 3\nassert add(5, 5) == 10\n",
    )
    right = answer({"rule": {"pattern": "$A - $B"}, "fix": "$A + $B"})
    other = answer({"rule": {"pattern": "$A - $B"}, "fix": "$B + $A"})
    wrong = answer({"rule": {"pattern": "$A - $B"}, "fix": "$A * $B"})
    with open_sandbox() as sandbox:
        scorer = EnvironmentScorer([task], engine, sandbox_tests(sandbox), W)
        found = scorer.score([0] * 3, [right, other, wrong], [1] * 3)
    assert [scored.success for scored in found] == [True, True, False]
    assert found[0].value == 2.0
    assert found[1].parts["add_tests"] == 0.5
    assert found[2].parts["add_tests"] == 0.0
