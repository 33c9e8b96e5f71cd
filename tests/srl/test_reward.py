"""The plain and the gated reward on actions that the real engine runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions import Action, render_response
from rulewright.engine import Engine
from rulewright.srl.change import change_similarity, changed_lines
from rulewright.srl.elsewhere import paid
from rulewright.srl.reward_srl import INVALID_REWARD, Kind, gated, plain
from rulewright.srl.scoring import Scored, StepScorer, TeacherStep, join_references, summarize
from rulewright.state.state import State, StateUpdate
from rulewright.verdict import INVALID, Outcome, Verdict

PRE = """\
def first(x, y):
    if x == None:
        return y
    return x


def second(x, y):
    if y == None or x == 3:
        return None
    return [x, y]
"""
POST = PRE.replace("x == None", "x is None").replace("y == None", "y is None")
RULE: dict[str, Any] = {"rule": {"pattern": "$X == None"}, "fix": "$X is None"}
TEACHER = Action("python", (RULE,))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(workers=1, deadline_s=5.0) as engine:
        yield engine


def step(pre: str = PRE, post: str = POST, teacher: Action = TEACHER) -> TeacherStep:
    return TeacherStep("t/0", "use is None", teacher.language, pre, State(), (teacher,), (post,), "g")


def rewards(engine: Engine, kind: Kind, *answers: str, of: TeacherStep | None = None) -> list[Scored]:
    scorer = StepScorer([of or step()], kind, engine)
    return scorer.score([0] * len(answers), answers, [1] * len(answers))


def answer(*rules: dict[str, Any], think: str = "") -> str:
    return render_response(Action("python", rules), think=think)


KIND_AND_PATTERN = answer(
    {"rule": {"all": [{"kind": "comparison_operator"}, {"pattern": "$A == None"}]}, "fix": "$A is None"}
)
STRUCTURAL = answer(
    {
        "rule": {
            "kind": "comparison_operator",
            "all": [{"has": {"pattern": "$A", "nthChild": 1}}, {"has": {"kind": "none"}}],
            "regex": "==",
        },
        "fix": "$A is None",
    }
)
STUFFED = answer(
    {
        "rule": {"any": [{"pattern": "$X == None"}, *({"pattern": f"junk{i}($X)"} for i in range(11))]},
        "fix": "$X is None",
    }
)
NEGATED = answer({"rule": {"pattern": "$X == None"}, "fix": "$X is not None"})
MATCHES_NOTHING = answer({"rule": {"pattern": "$X == Nope"}, "fix": "$X is None"})
UNBOUND = answer({"rule": {"pattern": "$X == None"}, "fix": "$Y is None"})
CHANGES_NOTHING = answer({"rule": {"pattern": "$X == None"}, "fix": "$X == None"})
RIGHT = {"same": answer(RULE), "kind": KIND_AND_PATTERN, "structural": STRUCTURAL, "stuffed": STUFFED}
WRONG = {"negated": NEGATED, "no match": MATCHES_NOTHING, "no change": CHANGES_NOTHING, "unbound": UNBOUND}


def test_gated_puts_every_right_effect_above_every_wrong_one(engine: Engine) -> None:
    right = rewards(engine, "gated", *RIGHT.values())
    wrong = rewards(engine, "gated", *WRONG.values())
    assert all(item.success and item.value is not None and item.value >= 0.9 for item in right)
    assert not any(item.success for item in wrong)
    assert all(item.value is not None and item.value <= 0.8 for item in wrong)


def test_plain_does_not(engine: Engine) -> None:
    """Why the gate exists: a negated fix scores above a different rule with the right effect."""
    negated, structural = rewards(engine, "plain", NEGATED, STRUCTURAL)
    assert negated.value is not None
    assert structural.value is not None
    assert negated.value > 0.9 > structural.value


def test_no_change_earns_little(engine: Engine) -> None:
    for scored in rewards(engine, "gated", MATCHES_NOTHING, CHANGES_NOTHING):
        assert scored.value is not None
        assert 0.15 < scored.value < 0.2
        assert scored.verdict in (Verdict.NO_MATCH, Verdict.NO_CHANGE)


def test_answers_that_fail_alike_are_ranked_by_similarity(engine: Engine) -> None:
    """A group without one right answer still has something to teach."""
    near, far = MATCHES_NOTHING, answer({"rule": {"pattern": "f($$$A)"}, "fix": "g($$$A)"})
    wrong_near, wrong_far = NEGATED, answer({"rule": {"kind": "none"}, "fix": "1"})
    for better, worse in ((near, far), (wrong_near, wrong_far)):
        one, other = (scored.value for scored in rewards(engine, "gated", better, worse))
        assert one is not None and other is not None
        assert one > other + 0.02


@pytest.mark.parametrize("kind", ["plain", "gated"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would replace == by is.",
        "<action>{",
        "<action></action>",
        '<action>{"action": {"type": "ast_grep", "language": "python", "mode": "yaml"}}</action>',
        answer(RULE) + answer(RULE),
        answer(RULE).replace("<action>", "").replace("</action>", ""),
        f"<think>{answer(RULE)}</think>",
        answer({"rule": {"kind": "no_such_kind"}, "fix": "x"}),
        UNBOUND,
        render_response(Action("java", (RULE,))),
        answer({"rule": {"pattern": "$X =="}, "fix": "$X"}),
    ],
    ids=["empty", "prose", "torn", "no json", "no rule", "two", "no tag", "in think", "bad kind", "unbound",
         "other language", "broken pattern"],
)  # fmt: skip
def test_invalid_is_exactly_minus_a_fifth(engine: Engine, kind: Kind, text: str) -> None:
    (scored,) = rewards(engine, kind, text)
    assert scored.value == INVALID_REWARD == -0.2
    assert scored.verdict in INVALID


def test_the_three_forms_earn_the_same(engine: Engine) -> None:
    def wire(**body: Any) -> str:
        inner = {"type": "ast_grep", "language": "python", **body}
        return f"<action>{json.dumps({'action': inner})}</action>"

    forms = [
        wire(mode="cli", cli="ast-grep run -p '$X == None' -r '$X is None' -l py"),
        wire(mode="rule", rule={"language": "py", **RULE}),
        wire(
            mode="yaml",
            rule_yaml="# none\nid: other-name\nlanguage: Python\nseverity: error\nmessage: hm\nnote: n\n"
            "metadata: {a: 1}\nfiles: ['x']\nfix: '$X is None'\nrule:\n    pattern: \"$X == None\"\n",
        ),
    ]
    for kind in ("plain", "gated"):
        assert [item.value for item in rewards(engine, kind, *forms)] == [1.0] * 3


def test_yaml_that_reads_like_a_boolean_is_text(engine: Engine) -> None:
    rule = {"rule": {"pattern": "no"}, "fix": "yes"}
    of = step("x = no\n", "x = yes\n", Action("python", (rule,)))
    text = (
        '<action>{"action": {"type": "ast_grep", "language": "python", "mode": "yaml", '
        '"rule_yaml": "id: a\\nlanguage: python\\nrule:\\n  pattern: no\\nfix: yes\\n"}}</action>'
    )
    assert rewards(engine, "gated", text, of=of)[0].value == 1.0


@pytest.mark.parametrize("kind", ["plain", "gated"])
def test_thinking_and_state_never_matter(engine: Engine, kind: Kind) -> None:
    bare = answer(RULE)
    long = answer(RULE, think="so " * 2000)
    update = render_response(TEACHER, update=StateUpdate(decisions=("a", "b"), next_focus="c"))
    assert len({item.value for item in rewards(engine, kind, bare, long, update)}) == 1


def test_a_rule_that_pastes_the_answer_is_not_right(engine: Engine) -> None:
    """`kind: module` with the whole answer as fix has exactly the teacher's effect."""
    (scored,) = rewards(engine, "gated", answer({"rule": {"kind": "module"}, "fix": POST.rstrip("\n")}))
    assert scored.value is not None
    assert scored.value < 0.5
    assert not scored.success


def test_unsound_flags_close_the_first_branch() -> None:
    for flag in (Verdict.LOSSY, Verdict.DEGENERATE, Verdict.SYNTAX_ERROR):
        for outcome in (Outcome(flag, post=POST), Outcome(Verdict.OK, post=POST, flags=frozenset({flag}))):
            assert (gated(outcome, TEACHER, [TEACHER], PRE, [POST]).value or 0) <= 0.8


def test_infra_has_no_reward() -> None:
    outcome = Outcome(Verdict.INFRA)
    assert plain(outcome, TEACHER, [TEACHER]).value is None
    assert gated(outcome, TEACHER, [TEACHER], PRE, [POST]).value is None
    assert gated(outcome, None, [TEACHER], PRE, [POST]).value is None


@pytest.mark.parametrize("kind", ["plain", "gated"])
def test_parts_sum_to_the_value(engine: Engine, kind: Kind) -> None:
    for scored in rewards(engine, kind, *RIGHT.values(), *WRONG.values(), "prose"):
        assert scored.value == pytest.approx(sum(v for k, v in scored.parts.items() if k.startswith("add_")))


def test_several_references_give_the_best() -> None:
    other = Action("python", ({"rule": {"kind": "none"}, "fix": "null"},))
    outcome = Outcome(Verdict.OK, post=POST)
    assert plain(outcome, TEACHER, [other, TEACHER]).value == 1.0
    assert gated(outcome, TEACHER, [other], PRE, ["other\n", POST]).value > 0.9  # type: ignore[operator]


def test_solutions_of_one_task_are_references_of_one_row(engine: Engine) -> None:
    """As rows of their own they contradict each other: each pays the other's solution less than its own."""
    literal = Action(
        "python",
        (
            {"rule": {"pattern": "x == None"}, "fix": "x is None"},
            {"rule": {"pattern": "y == None"}, "fix": "y is None"},
        ),
    )
    only_first = Action("python", ({"rule": {"pattern": "x == None"}, "fix": "x is None"},))
    half = PRE.replace("x == None", "x is None")
    apart = [
        step(),
        step(pre=POST, post=PRE),
        step(teacher=literal),
        step(),
        step(post=half, teacher=only_first),
    ]
    rows = join_references(apart)
    assert [(row.pre, len(row.references), row.wanted) for row in rows] == [
        (PRE, 3, (POST, half)), (POST, 1, (PRE,)),
    ]  # fmt: skip
    texts = [render_response(action) for action in (TEACHER, literal, only_first)]
    alone = rewards(engine, "gated", *texts)
    joined = rewards(engine, "gated", *texts, of=rows[0])
    assert [scored.value for scored in joined] == [1.0, 1.0, 1.0]
    assert [scored.success for scored in joined] == [True, True, True]
    assert joined[2].verdict is Verdict.OK
    assert (alone[1].value or 0) < 1.0
    assert not alone[2].success
    assert [scored.parts["literal"] for scored in joined] == [0.0, 1.0, 1.0]


def test_a_lone_wrong_site_costs_part_of_the_effect(engine: Engine) -> None:
    """Doing half of the change is worth more than another change, less than the whole."""
    half = answer(
        {
            "rule": {"pattern": "$X == None", "inside": {"pattern": "def first($$$): $$$", "stopBy": "end"}},
            "fix": "$X is None",
        }
    )
    other = answer({"rule": {"pattern": "return $X"}, "fix": "return ($X, None)"})
    values = [item.value or 0 for item in rewards(engine, "gated", answer(RULE), half, other)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[1] > values[2]


ELSEWHERE = (("if z == None:\n    pass\n", "if z is None:\n    pass\n"), ("z == 3\n", "z == 3\n"))
LITERAL = answer(
    {"rule": {"pattern": "x == None"}, "fix": "x is None"},
    {"rule": {"pattern": "y == None"}, "fix": "y is None"},
)
TOO_WIDE = answer(
    {"rule": {"pattern": "$X == $Y", "not": {"pattern": "x == 3"}}, "fix": "$X is $Y"},
)


def test_full_pay_needs_siblings_right_and_negatives_kept(engine: Engine) -> None:
    texts = [answer(RULE), STRUCTURAL, TOO_WIDE, LITERAL, NEGATED, MATCHES_NOTHING, "prose"]
    alone = rewards(engine, "gated", *texts)
    known = rewards(engine, "gated", *texts, of=replace(step(), held_out=ELSEWHERE))
    assert [one.general for one in alone] == [None] * 7
    assert [one.general for one in known] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert [one.success for one in alone] == [True, True, True, True, False, False, False]
    assert [one.success for one in known] == [True, True, False, False, False, False, False]
    before, after = ([one.value or 0 for one in found] for found in (alone, known))
    assert after[:2] == before[:2], "a general answer earns what it earned"
    for place in (2, 3, 4, 5):
        assert after[place] == pytest.approx(0.7 * before[place])
    assert after[6] == INVALID_REWARD
    assert min(after[:2]) > max(after[2:4]) >= min(after[2:4]) > max(after[4:])
    for one in known:
        assert one.value == pytest.approx(sum(v for k, v in one.parts.items() if k.startswith("add_")))


def test_plain_and_a_weight_of_nothing_ask_for_nothing_elsewhere(engine: Engine) -> None:
    of = replace(step(), held_out=ELSEWHERE)
    for kind, weight in (("plain", 0.3), ("gated", 0.0)):
        scorers = [StepScorer([one], kind, engine, weight) for one in (step(), of)]  # type: ignore[arg-type]
        alone, known = (scorer.score([0, 0], [LITERAL, NEGATED], [1, 1]) for scorer in scorers)
        assert [one.value for one in alone] == [one.value for one in known]
        assert [one.success for one in known] == [True, False]
        assert [one.general for one in known] == [0.0, 0.0], "measured all the same"


def test_how_many_answers_hold_elsewhere_is_counted_of_those_that_can_tell(engine: Engine) -> None:
    scored = rewards(engine, "gated", answer(RULE), LITERAL, of=replace(step(), held_out=ELSEWHERE))
    found = summarize([*scored, *rewards(engine, "gated", answer(RULE), NEGATED)])
    assert (found.general_rate, found.n_general, found.n) == (0.5, 2, 4)
    assert summarize(rewards(engine, "gated", NEGATED)).general_rate is None


def test_code_elsewhere_that_cannot_be_run_leaves_the_answer_out(engine: Engine, monkeypatch: Any) -> None:
    judge_many = engine.judge_many

    def failing(requests: Any) -> Any:
        for request, outcome in zip(given := list(requests), judge_many(given), strict=True):
            yield Outcome(Verdict.INFRA) if request.code == ELSEWHERE[0][0] else outcome

    monkeypatch.setattr(engine, "judge_many", failing)
    (scored,) = rewards(engine, "gated", answer(RULE), of=replace(step(), held_out=ELSEWHERE))
    assert (scored.value, scored.verdict, scored.general) == (None, Verdict.INFRA, None)


def test_rows_with_two_results_know_nothing_elsewhere() -> None:
    """Which of the two changes is wanted there, nobody knows."""
    known = replace(step(), held_out=ELSEWHERE)
    same, other = join_references([known, step()]), join_references([known, step(post=PRE + "\n")])
    assert (same[0].held_out, other[0].held_out) == (ELSEWHERE, ())


@settings(deadline=None)
@given(
    value=st.floats(-0.2, 1),
    cap=st.floats(0, 1),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    weight=st.floats(0, 0.9),
)
def test_what_generality_pays(value: float, cap: float, shares: list[float], weight: float) -> None:
    right = [paid(max(value, cap), True, share, weight, cap) for share in [*sorted(shares), 1.0]]
    assert all(one <= other + 1e-12 for one, other in pairwise(right))
    assert right[-1] == paid(max(value, cap), True, None, weight, cap) == max(value, cap)
    assert all(
        share == 1 or not weight or one <= cap + 1e-12
        for share, one in zip(sorted(shares), right, strict=False)
    )
    for share in shares:
        wrong = paid(min(value, cap), False, share, weight, cap)
        assert wrong <= right[0] + 1e-12
        assert (wrong == value) if value < 0 else (0 <= wrong <= value)


lines = st.lists(st.sampled_from(["a\n", "b\n", "c = 1\n", "\n"]), max_size=12).map("".join)


@settings(deadline=None)
@given(pre=lines, ours=lines, wanted=lines)
def test_change_similarity(pre: str, ours: str, wanted: str) -> None:
    value = change_similarity(pre, ours, wanted)
    assert 0.0 <= value <= 1.0
    assert value == change_similarity(pre, wanted, ours)
    assert change_similarity(pre, pre, wanted) == 0.0
    assert (ours == wanted != pre) <= (value == 1.0)
    assert (changed_lines(pre, ours) == "") == (pre == ours)


verdicts = st.sampled_from(list(Verdict))


@settings(deadline=None)
@given(verdict=verdicts, ours=lines, flags=st.frozensets(verdicts), pre=lines, wanted=lines)
def test_bounds_whatever_the_outcome(
    verdict: Verdict, ours: str, flags: frozenset[Verdict], pre: str, wanted: str
) -> None:
    outcome = Outcome(verdict, post=ours, flags=flags)
    for reward in (plain(outcome, TEACHER, [TEACHER]), gated(outcome, TEACHER, [TEACHER], pre, [wanted])):
        if verdict is Verdict.INFRA:
            assert reward.value is None
        else:
            assert reward.value is not None
            assert -0.2 <= reward.value <= 1.0
    if ours == pre and verdict not in INVALID | {Verdict.INFRA}:
        assert (gated(outcome, TEACHER, [TEACHER], pre, [wanted]).value or 0) <= 0.2
