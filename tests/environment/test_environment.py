"""The environment's reward, as executed answers and as drawn ones earn it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.environment.tasks import (
    FIRST,
    GENERAL,
    LITERAL,
    NEGATED,
    NOTHING,
    POST,
    PRE,
    RIGHT,
    TASK,
    TWO,
    W,
    answer,
    record,
    values,
)

from rulewright.actions import render_action, render_response
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import Engine
from rulewright.environment import (
    MARGIN,
    Environment,
    EnvironmentScorer,
    Executed,
    Task,
    TestRun,
    Tests,
    Weights,
    action_tokens,
    score,
    task_of,
)
from rulewright.verdict import INVALID, Outcome, Verdict


def test_the_order_of_answers(engine: Engine) -> None:
    found = values(engine, RIGHT, TWO, FIRST, NOTHING, "prose")
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert found[0] == 1.5
    assert found[2] <= W.wrong_cap < found[1] < found[0]
    assert found[3:] == [W.no_change, W.invalid]


def test_the_weights_are_those_that_the_docs_give(root: Path) -> None:
    text = (root / "docs/reference/rewards.md").read_text(encoding="utf-8").replace("−", "-")

    def number(pattern: str) -> float:
        return float(re.search(pattern, text)[1])  # type: ignore[index]

    documented = {
        "invalid": number(r"`add_invalid` \| (\S+) "), "no_change": number(r"`add_no_change` \| (\S+) "),
        "code": number(r"`add_code` \| (\S+) "), "tests": number(r"`add_tests` \| (\S+) "),
        "wrong_cap": number(r"`add_cap` \| reduces the total to (\S+) "),
        "per_rule": number(r"`add_rules` \| (\S+) "), "per_token": number(r"`add_tokens` \| (\S+) "),
        "token_cap": number(r"(\S+) at most \| only when correct"),
        "charge_cap": -number(r"together cost at most (\S+) "), "unsound_code": 0.5,
        "generality": number(r"\(`generality`, (\S+)\)"),
    }  # fmt: skip
    assert "at most half counts" in text
    assert Weights().model_dump() == documented
    assert number(r"`wrong_cap` - `charge_cap` \+ (\S+)\)") == MARGIN


def test_doing_nothing_and_pasting_the_answer_earn_nothing(engine: Engine) -> None:
    for text in (NOTHING, LITERAL):
        assert values(engine, text) == [W.no_change]
    idle = score(TASK, Executed(Outcome(Verdict.NO_CHANGE, post=PRE)), W)
    assert dict(idle.parts) == {"add_no_change": W.no_change, "s_code": 0.0}


def test_length_is_charged_only_when_correct_and_above_the_reference() -> None:
    task = replace(TASK, reference_tokens=60)
    right = Executed(Outcome(Verdict.OK, post=POST), n_tokens=60, n_rules=1)
    wrong = Executed(Outcome(Verdict.WRONG_RESULT, post="x = 1\n"), n_tokens=5000, n_rules=9)
    assert score(task, right, W).value == 1.5
    longer = [score(task, Executed(right.outcome, n, 1), W).value for n in (1, 60, 100, 210, 10_000)]
    assert longer == pytest.approx([1.5, 1.5, 1.46, 1.35, 1.35])
    many = [score(task, Executed(right.outcome, 10_000, n), W).value for n in (1, 3, 4, 5, 100)]
    assert many == pytest.approx([1.35, 1.25, 1.2, 1.2, 1.2]), "all charges together: 0.3"
    assert "add_tokens" not in score(task, wrong, W).parts
    assert "add_rules" not in score(task, wrong, W).parts
    without = Task("t", "i", PRE, "python", POST)
    assert score(without, Executed(right.outcome, 10_000, 1), W).value == 1.5


def test_thinking_and_state_cost_nothing(engine: Engine) -> None:
    """The answer in the very form that the prompt asks for earns as much as the bare action."""
    update = '<state_update>{"decisions": ["use is"], "next_focus": "' + "more " * 200 + '"}</state_update>'
    dressed = [
        RIGHT,
        "<think>\n\n</think>\n\n" + RIGHT,
        "<think>" + "long thought " * 500 + "</think>" + RIGHT + update,
        RIGHT.replace("<action>", "<action>\n  ").replace("</action>", "\n</action>"),
    ]
    assert values(engine, *dressed) == [1.5] * 4
    noted = render_response(replace(GENERAL, notes="because " * 40))
    assert 1.5 - W.token_cap * -1 <= values(engine, noted)[0] < 1.5, "notes inside the action do cost"


def test_a_nearly_right_answer_stays_below_a_clumsy_right_one(engine: Engine) -> None:
    names = [f"value_{i}" for i in range(12)]
    pre, post = ("".join(f"{name} = load({new})\n" for name in names) for new in ("old", "new"))
    task = Task("t", "i", pre, "python", post, reference_tokens=40)
    part = {"any": [{"pattern": f"{name} = load(old)"} for name in names[:11]]}
    nearly = answer({"rule": {"pattern": "old", "inside": {**part, "stopBy": "end"}}, "fix": "new"})
    clumsy = answer(*({"rule": {"pattern": f"{n} = load(old)"}, "fix": f"{n} = load(new)"} for n in names))
    wrong, right = values(engine, nearly, clumsy, task=task)
    assert wrong == W.wrong_cap < right


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
    assert forged.value == W.wrong_cap
    assert not forged.success
    ours = score(TESTED, Executed(outcome, tests=Tests(before=False, after=None)), W)
    assert ours.value is None and not ours.success
    assert [one.parts["tests"] for one in (repaired, passed_before, broke)] == [1.0, 1.0, 0.0]
    assert broke.parts["s_code"] == 1.0, "what it is like, whatever of it counts"


def test_tests_are_run_on_what_changed_and_on_its_start(engine: Engine) -> None:
    asked: list[str] = []
    results: dict[str, bool | None] = {PRE: False, POST: True}

    def run(programs: Any) -> list[TestRun]:
        asked.extend(program for program, _ in programs)
        return [TestRun(results.get(program, False), suspicious=False) for program, _ in programs]

    def scored(text: str, task: Task = TESTED) -> list[Any]:
        asked.clear()
        (one,) = EnvironmentScorer([task], engine, run, W).score([0], [text], [1])
        return [one.value, one.success, list(asked)]

    assert scored(RIGHT) == [2.0, True, [PRE, POST]]
    assert scored(NOTHING) == [W.no_change, False, []]
    assert scored("prose") == [W.invalid, False, []]
    assert scored(RIGHT, TASK) == [1.5, True, []], "a task without tests"
    for fault in (PRE, POST):
        results = {PRE: False, POST: True, fault: None}
        assert scored(RIGHT) == [None, False, [PRE, POST]], "what could not be run is our fault"


def test_without_a_runner_of_tests_the_target_decides(engine: Engine) -> None:
    scorer = EnvironmentScorer([TESTED], engine, None, W)
    assert [one.success for one in scorer.score([0, 0], [RIGHT, FIRST], [1, 1])] == [True, False]
    environment = Environment(engine)
    environment.reset(TESTED)
    assert environment.step(RIGHT).reason is Verdict.OK


def test_a_trainer_sees_a_tasks_group_and_what_it_is_judged_by(engine: Engine) -> None:
    tasks = [TASK, replace(TESTED, group="g"), replace(TESTED, target=None), replace(TASK, target="")]
    scorer = EnvironmentScorer(tasks, engine, None, W)
    assert len(scorer) == 4
    assert [scorer.group(row) for row in range(4)] == ["t", "g", "t", "t"]
    assert [scorer.reference(row) for row in range(4)] == [POST, POST, "(judged by its tests)", ""]


def test_code_elsewhere_that_cannot_be_run_leaves_the_answer_out(engine: Engine, monkeypatch: Any) -> None:
    task = task_of(NormalizedRecord.model_validate(record(**ELSEWHERE)))
    judge_many = engine.judge_many

    def failing(requests: Any) -> Any:
        for request, outcome in zip(given := list(requests), judge_many(given), strict=True):
            yield Outcome(Verdict.INFRA) if request.code == "a == 1\n" else outcome

    monkeypatch.setattr(engine, "judge_many", failing)
    right, wrong = EnvironmentScorer([task], engine, None, W).score([0, 0], [RIGHT, FIRST], [1, 1])
    assert (right.value, right.success, right.verdict) == (None, False, Verdict.INFRA)
    assert wrong.value is not None, "it was not asked elsewhere"


def test_tests_that_passed_already_prove_nothing() -> None:
    """A comment more breaks nothing: that must not count as the wanted refactoring."""
    idle = Executed(Outcome(Verdict.WRONG_RESULT, post=PRE + "# done\n"), tests=Tests(True, True))
    assert not score(TESTED, idle, W).success
    assert (score(TESTED, idle, W).value or 0) < 0.5
    assert not score(replace(TESTED, target=None), idle, W).success
    repaired = Executed(Outcome(Verdict.WRONG_RESULT, post=PRE + "# done\n"), tests=Tests(False, True))
    other = score(TESTED, repaired, W)
    assert other.success, "another way to the same behavior"
    assert (other.value or 0) >= W.wrong_cap + W.tests


def test_an_over_general_rule_fails_on_held_out_code(engine: Engine) -> None:
    held_out = (("a = b == 1\nc = d == None\n", "a = b == 1\nc = d is None\n"),)
    task = Task("t", "i", PRE, "python", POST, held_out=held_out)
    greedy = answer({"rule": {"pattern": "$X == $Y"}, "fix": "$X is $Y"})
    scorer = EnvironmentScorer([task], engine, None, W)
    found = scorer.score([0, 0], [RIGHT, greedy], [1, 1])
    assert [scored.success for scored in found] == [True, False]
    assert (found[1].value or 0) <= W.wrong_cap


ELSEWHERE = {
    "siblings": [{"pre": "a == None\n", "post": "a is None\n"}, {"pre": "a == 1\n", "post": "a == 1\n"}],
    "negatives": ["b is None\n"],
}


def test_siblings_of_a_record_judge_generality(engine: Engine) -> None:
    task = task_of(NormalizedRecord.model_validate(record(**ELSEWHERE)))
    assert task.held_out == (
        ("a == None\n", "a is None\n"), ("a == 1\n", "a == 1\n"), ("b is None\n", "b is None\n")
    )  # fmt: skip
    wide = answer({"rule": {"pattern": "$X == $Y"}, "fix": "$X is $Y"})
    texts = [RIGHT, TWO, wide, FIRST, NOTHING, "prose"]
    scored = EnvironmentScorer([task], engine, None, W).score([0] * 6, texts, [1] * 6)
    assert [one.success for one in scored] == [True, *[False] * 5], "two literal rules help nowhere else"
    assert [one.general for one in scored] == [1.0, 0.0, 0.5, 0.0, 0.0, 0.0]
    assert [one.parts["literal"] for one in scored[:2]] == [0.0, 1.0]
    values = [one.value or 0 for one in scored]
    kept = 1 - W.generality
    assert values[0] == 1.5
    alone = EnvironmentScorer([replace(task, held_out=())], engine, None, W).score([0], [TWO], [1])[0]
    assert values[1] == pytest.approx(kept * (alone.value or 0))
    assert values[0] > values[2] > values[1] > values[3] > values[4] == W.no_change > values[5] == W.invalid
    off = EnvironmentScorer([task], engine, None, Weights(generality=0)).score([0], [TWO], [1])[0]
    assert (off.value, off.success, off.general) == (alone.value, True, 0.0), "measured, not paid"


def test_what_is_long_or_too_many_judges_nothing() -> None:
    known = [{"pre": f"a{i} == None\n", "post": f"a{i} is None\n"} for i in range(9)]
    big = {"pre": "x == None\n" * 500, "post": "x is None\n" * 500}
    raw = record(siblings=[big, *known], negatives=["y" * 5_000, *(f"n{i}\n" for i in range(9))])
    found = task_of(NormalizedRecord.model_validate(raw)).held_out
    assert [pre for pre, _ in found] == [
        *(f"a{i} == None\n" for i in range(4)),
        *(f"n{i}\n" for i in range(4)),
    ]
    with pytest.raises(ValidationError, match=r"siblings.0.post"):
        NormalizedRecord.model_validate(record(siblings=[{"pre": "x"}]))


def test_an_answer_that_is_wrong_here_is_tried_nowhere_else(engine: Engine, monkeypatch: Any) -> None:
    """What generality costs: answers that are right here only, and the same answer once."""
    asked: list[str] = []
    judge_many = engine.judge_many

    def counting(requests: Any) -> Any:
        requests = list(requests)
        asked.extend(request.code for request in requests)
        return judge_many(requests)

    monkeypatch.setattr(engine, "judge_many", counting)
    task = task_of(NormalizedRecord.model_validate(record(**ELSEWHERE)))
    scorer = EnvironmentScorer([task], engine, None, W)
    scorer.score([0] * 4, [FIRST, NEGATED, NOTHING, "prose"], [1] * 4)
    assert asked == [PRE] * 3
    asked.clear()
    scorer.score([0] * 4, [RIGHT] * 4, [1] * 4)
    assert asked == [PRE] * 4 + [pre for pre, _ in task.held_out]


def test_a_record_is_a_task() -> None:
    task = task_of(NormalizedRecord.model_validate(record(tests="assert f")))
    assert (task.code, task.target, task.tests, task.group) == (PRE, POST, "assert f", "g")
    assert task.reference_tokens == action_tokens(render_action(GENERAL))
    for action in (None, "no action"):
        assert task_of(NormalizedRecord.model_validate(record(action=action))).reference_tokens == 0


amounts = st.floats(0, 1000)
charges = st.floats(-1000, 0)
any_weights = st.builds(
    Weights, invalid=charges, no_change=charges, code=amounts, tests=amounts, wrong_cap=amounts,
    per_rule=charges, per_token=charges, token_cap=charges, charge_cap=charges, unsound_code=st.floats(0, 1),
    generality=st.floats(0, 0.9),
)  # fmt: skip
any_task = st.builds(
    Task, id=st.just("t"), instruction=st.just("i"), code=st.just(PRE), language=st.just("python"),
    target=st.sampled_from([POST, None]), tests=st.sampled_from([None, "assert f"]),
    reference_tokens=st.integers(0, 100),
    held_out=st.sampled_from([(), (("a == None\n", "a is None\n"), ("a == 1\n", "a == 1\n"))]),
)  # fmt: skip
any_executed = st.builds(
    Executed,
    outcome=st.builds(
        Outcome, verdict=st.sampled_from(list(Verdict)),
        post=st.sampled_from([None, PRE, POST, PRE + "\n", ""]),
        flags=st.frozensets(st.sampled_from([Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR])),
    ),
    n_tokens=st.integers(0, 10**6), n_rules=st.integers(0, 1000),
    tests=st.builds(
        Tests, before=st.sampled_from([None, True, False]), after=st.sampled_from([None, True, False]),
        suspicious=st.booleans(),
    ),
    general=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)  # fmt: skip


def is_right(task: Task, executed: Executed) -> bool:
    """What counts as right on the task's own code, said apart from the reward."""
    outcome, tests = executed.outcome, executed.tests
    if (
        outcome.verdict in INVALID | {Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR}
        or outcome.flags
    ):
        return False
    if outcome.post in (None, PRE) or tests.broken:
        return False
    if task.tests is None:
        return outcome.post == task.target
    proven = tests.before is False or outcome.post == task.target
    return tests.after is True and not tests.suspicious and proven


@settings(deadline=None, max_examples=1000)
@given(weights=any_weights, task=any_task, answers=st.lists(any_executed, min_size=2, max_size=40))
def test_every_right_answer_earns_more_than_every_wrong_one(
    weights: Weights, task: Task, answers: list[Executed]
) -> None:
    best = Executed(Outcome(Verdict.OK, post=POST), tests=Tests(False, True), general=1.0)
    general: list[float] = []
    own: list[float] = []
    wrong: list[float] = []
    for executed in [*answers, best, replace(best, general=0.0)]:
        scored = score(task, executed, weights)
        if scored.value is not None:
            right = is_right(task, executed)
            everywhere = right and (not task.held_out or executed.general == 1 or not weights.generality)
            assert scored.success == everywhere
            assert scored.general == (executed.general * right if task.held_out else None)
            (general if everywhere else own if right else wrong).append(scored.value)
    if general and (own or wrong):
        assert min(general) > max(own + wrong) + MARGIN / 2
    if own and wrong and weights.wrong_cap > 1e-6 and weights.generality > 1e-6:
        assert min(own) > max(wrong)


@settings(deadline=None)
@given(
    executed=any_executed, shares=st.lists(st.floats(0, 1), min_size=2, max_size=6), weight=st.floats(0, 0.9)
)
def test_more_places_right_never_earn_less(executed: Executed, shares: list[float], weight: float) -> None:
    task = replace(TASK, held_out=(("a == None\n", "a is None\n"),))
    weights = Weights(generality=weight)
    found = [score(task, replace(executed, general=share), weights).value for share in sorted(shares)]
    earned = [value for value in found if value is not None]
    assert earned == sorted(earned)
    assert all(W.invalid <= value <= 2.0 for value in earned)


def test_weights_that_are_no_numbers_are_refused() -> None:
    for name, value in [
        ("code", float("inf")),
        ("per_token", float("nan")),
        ("wrong_cap", -1),
        ("invalid", 1),
        ("code", 1000.5),
        ("per_rule", -1000.5),
        ("unsound_code", 1.5),
        ("unsound_code", -0.1),
        ("generality", 1.0),
        ("generality", -0.1),
    ]:
        with pytest.raises(ValueError, match=name):
            Weights.model_validate({name: value})
    assert Weights(code=1000, invalid=-1000, unsound_code=1, generality=0).code == 1000


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
        assert scored.verdict is Verdict.INFRA and not scored.success
        return
    assert W.invalid <= scored.value <= 2.0
    assert scored.success or scored.value <= W.wrong_cap
    if verdict in INVALID:
        assert scored.value == W.invalid
    elif post in (None, PRE) or Verdict.DEGENERATE in flags | {verdict}:
        assert scored.value == W.no_change
    if scored.success:
        assert post == POST or (tested and after)
        assert scored.verdict is Verdict.OK
