"""Properties of the similarity of actions (numbers: docs/reference/rewards.md lists them)."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions.action import Action
from rulewright.srl.rule_tree import views
from rulewright.srl.similarity import similarity

TEACHER = {"rule": {"pattern": "$X == None"}, "fix": "$X is None"}
RULES: dict[str, Mapping[str, Any]] = {
    "comparison": TEACHER,
    "nested": {
        "rule": {
            "kind": "call",
            "pattern": "$F($$$ARGS)",
            "inside": {"kind": "with_statement", "stopBy": "end"},
            "not": {"has": {"pattern": "$F", "stopBy": "end", "kind": "lambda"}},
        },
        "constraints": {"F": {"regex": "^(open|close)$"}},
        "fix": "wrapped($F, $$$ARGS)",
    },
    "alternatives": {
        "rule": {"any": [{"pattern": "yaml.load($A)"}, {"pattern": "yaml.load_all($A)"}]},
        "fix": {"template": "yaml.safe_load($A)", "expandEnd": {"regex": ","}},
    },
    "transform": {
        "rule": {"pattern": "def $NAME($$$P): $$$BODY"},
        "transform": {"NEW": {"convert": {"source": "$NAME", "toCase": "snakeCase"}}},
        "fix": "def $NEW($$$P): $$$BODY",
    },
    "utils": {
        "utils": {"is-none": {"any": [{"kind": "none"}, {"regex": "^null$"}]}},
        "rule": {"all": [{"kind": "comparison_operator"}, {"has": {"matches": "is-none"}}]},
        "fix": "pass",
    },
}


def action(*rules: Mapping[str, Any], language: Any = "python") -> Action:
    return Action(language, tuple(rules))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def change_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(k) if k.isupper() else k: change_text(v, change) for k, v in value.items()}
    return [change_text(v, change) for v in value] if isinstance(value, list) else value


def change_values(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: change_values(inner, change) for key, inner in value.items()}
    return [change_values(v, change) for v in value] if isinstance(value, list) else value


def reversed_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: reversed_keys(inner) for key, inner in reversed(list(value.items()))}
    return [reversed_keys(v) for v in value] if isinstance(value, list) else value


def renamed(rule: Mapping[str, Any]) -> Any:
    names = {
        "X": "LEFT",
        "F": "FUNC",
        "ARGS": "REST",
        "A": "V9",
        "NAME": "OLD",
        "NEW": "A",
        "P": "Q",
        "BODY": "B",
    }

    def change(text: str) -> str:
        if text in names:
            return names[text]
        return re.sub(r"(\$+)([A-Z]+)", lambda m: m.group(1) + names.get(m.group(2), m.group(2)), text)

    return change_text(rule, change)


each = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


@each
def test_an_action_is_like_itself(rule: Mapping[str, Any]) -> None:
    assert similarity(action(rule), action(rule)) == (1.0, 1.0, 1.0)


@each
def test_key_order_does_not_count(rule: Mapping[str, Any]) -> None:
    assert similarity(action(reversed_keys(rule)), action(rule)).r == 1.0


@each
def test_consistent_renaming_does_not_count(rule: Mapping[str, Any]) -> None:
    assert similarity(action(renamed(rule)), action(rule)).r == pytest.approx(1.0)


@each
def test_an_extra_rule_lowers(rule: Mapping[str, Any]) -> None:
    extra = {"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"}
    assert similarity(action(rule, extra), action(rule)).r < 1.0
    assert similarity(action(extra, rule), action(rule)).r < 1.0


@each
def test_another_language_lowers(rule: Mapping[str, Any]) -> None:
    assert similarity(action(rule, language="java"), action(rule)).r < 1.0


@each
def test_no_fix_lowers(rule: Mapping[str, Any]) -> None:
    without = {key: value for key, value in rule.items() if key != "fix"}
    assert similarity(action(without), action(rule)).r < 1.0


@each
def test_a_rule_that_takes_the_whole_file_is_far(rule: Mapping[str, Any]) -> None:
    assert similarity(action({"rule": {"kind": "program"}, "fix": "x"}), action(rule)).r < 0.6


@pytest.mark.parametrize("a", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("b", RULES.values(), ids=RULES.keys())
def test_symmetric_and_bounded(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    one, other = similarity(action(a), action(b)), similarity(action(b), action(a))
    assert one == pytest.approx(other, abs=1e-9)
    assert all(0.0 <= value <= 1.0 for value in one)


def test_an_object_is_the_same_as_its_all() -> None:
    flat = {"rule": {"kind": "call", "pattern": "f($A)"}, "fix": "g($A)"}
    for order in ([{"kind": "call"}, {"pattern": "f($A)"}], [{"pattern": "f($A)"}, {"kind": "call"}]):
        assert similarity(action({**flat, "rule": {"all": order}}), action(flat)).r == 1.0


def test_defaults_and_short_forms_do_not_count() -> None:
    short = {"rule": {"pattern": "f($A)", "inside": {"kind": "block"}}, "fix": "g($A)"}
    long = {
        "rule": {
            "any": [
                {
                    "pattern": {"context": "f($A)", "strictness": "smart"},
                    "inside": {"kind": "block", "stopBy": "neighbor"},
                }
            ]
        },
        "fix": {"template": "g($A)"},
    }
    assert similarity(action(short), action(long)).r == 1.0


def test_order_of_any_does_not_count() -> None:
    rule = RULES["alternatives"]
    swapped = {**rule, "rule": {"any": list(reversed(rule["rule"]["any"]))}}
    assert similarity(action(swapped), action(rule)).r == 1.0


def test_order_of_all_counts_in_the_text_only() -> None:
    atoms = [{"has": {"pattern": "$A + 1"}}, {"has": {"pattern": "$A + 2"}}]
    one, other = ({"rule": {"all": order}, "fix": "f($A)"} for order in (atoms, atoms[::-1]))
    found = similarity(action(one), action(other))
    assert found.s_field == pytest.approx(1.0)
    assert found.s_str < 1.0


def test_renaming_tied_atoms_does_not_count() -> None:
    """The smallest text over all orders of tied atoms decides, not their names."""

    def rule(a: str, b: str) -> dict[str, Any]:
        return {
            "rule": {"all": [{"has": {"pattern": f"${a} + 1"}}, {"has": {"pattern": f"${b} + 1"}}]},
            "fix": f"f(${a}, ${b})",
        }

    assert similarity(action(rule("A", "B")), action(rule("B", "A"))).r == pytest.approx(1.0)


def test_swapped_variables_in_the_fix_count() -> None:
    rule = {"rule": {"pattern": "f($A, $B)"}, "fix": "g($A, $B)"}
    assert similarity(action({**rule, "fix": "g($B, $A)"}), action(rule)).r < 1.0


def test_documents_are_a_sequence() -> None:
    one = {"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"}
    two = {"rule": {"pattern": "bar($A)"}, "fix": "baz($A)"}
    found = similarity(action(one, two), action(two, one))
    assert found.s_field < 1.0
    assert found.r < 1.0


def test_junk_alternatives_cost() -> None:
    junk = [{"pattern": f"junk{i}($A)"} for i in range(11)]
    stuffed = {"rule": {"any": [{"pattern": "$X == None"}, *junk]}, "fix": "$X is None"}
    assert similarity(action(stuffed), action(TEACHER)).r < 0.3


@each
def test_more_damage_never_raises(rule: Mapping[str, Any]) -> None:
    """Replace ever more words of the rule's texts by junk: similarity never goes up."""
    n_words = sum(len(text.split()) for text in strings(rule))
    previous = 1.0
    for n_damaged in range(n_words + 1):
        left = [n_damaged]

        def damage(text: str, left: list[int] = left) -> str:
            words = text.split(" ")
            n = min(left[0], len(words))
            left[0] -= n
            return " ".join(["zz"] * n + words[n:])

        damaged = {key: change_values(value, damage) for key, value in rule.items()}
        found = similarity(action(damaged), action(rule)).s_field
        assert found <= previous + 1e-9
        previous = found
    assert previous < 0.8


@settings(deadline=None)
@given(
    wanted=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=1, max_size=6, unique=True
    ),
    wrong=st.integers(0, 6),
)
def test_monotone_in_correct_leaves(wanted: list[tuple[str, str]], wrong: int) -> None:
    """Putting one more leaf right never lowers S_field."""

    def rule(n_right: int) -> dict[str, Any]:
        atoms = [
            {"has": {"kind": kind if i < n_right else f"wrong_{i}", "field": name}}
            for i, (kind, name) in enumerate(wanted)
        ]
        return {"rule": {"all": atoms}, "fix": "f()"}

    teacher = action(rule(len(wanted)))
    scores = [similarity(action(rule(n)), teacher).s_field for n in range(len(wanted) + 1)]
    assert scores == sorted(scores)


patterns = st.sampled_from(["$A", "f($A)", "f($A, $B)", "$A == None", "g($$$X)", "no", "x  y"])
atoms = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"pattern": patterns}),
        st.fixed_dictionaries({"kind": st.sampled_from(["call", "block"])}),
        st.fixed_dictionaries({"regex": st.sampled_from(["^a", "b$"])}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"has": inner}),
    ),
    max_leaves=8,
)
rules = st.fixed_dictionaries({"rule": atoms, "fix": patterns})


@settings(deadline=None)
@given(a=st.lists(rules, min_size=1, max_size=3), b=st.lists(rules, min_size=1, max_size=3))
def test_generated_actions(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    one, other = action(*a), action(*b)
    found = similarity(one, other)
    assert found == pytest.approx(similarity(other, one), abs=1e-9)
    assert all(-1e-9 <= value <= 1.0 + 1e-9 for value in found)
    assert similarity(one, one).r == 1.0
    assert similarity(action(*map(reversed_keys, a)), one).r == 1.0
    assert similarity(action(*map(renamed, a)), one).r == pytest.approx(1.0)


def test_equal_across_processes_and_hash_seeds() -> None:
    program = (
        "import json, sys\n"
        "from rulewright.actions.action import Action\n"
        "from rulewright.srl.similarity import similarity\n"
        "rules = json.load(sys.stdin)\n"
        "actions = [Action('python', (rule,)) for rule in rules]\n"
        "print([list(similarity(a, b)) for a in actions for b in actions])\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(list(RULES.values())),
            capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(answers) == 1


def calls(function: Callable[[], object]) -> int:
    """How many functions of Python are called: work, whatever the machine."""
    n = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal n
        n += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return n


def test_large_and_bent_actions_are_bounded() -> None:
    """Work grows with the size only, counted in calls; nothing raises."""
    rng = random.Random(0)

    def long_rule() -> dict[str, Any]:
        words = [f"name{rng.randrange(400)}($A, $B{i % 7})" for i in range(400)]
        return {"rule": {"pattern": "\n".join(words[:200])}, "fix": "\n".join(words[200:])}

    teacher = action(long_rule())
    similarity(teacher, teacher)
    student = action(long_rule())
    assert calls(lambda: similarity(student, teacher)) < 20_000

    many = action({"rule": {"any": [{"pattern": f"junk{i}($A{i})"} for i in range(400)]}, "fix": "x" * 4000})
    tied = action({"rule": {"all": [{"has": {"pattern": f"$A{i}"}} for i in range(60)]}, "fix": "f()"})
    assert calls(lambda: similarity(tied, many)) < 400_000
    assert 0 <= similarity(many, teacher).r < 0.5
    assert 0 <= similarity(tied, many).r < 0.5

    deep: dict[str, Any] = {"pattern": "$A"}
    for _ in range(60):
        deep = {"not": deep}
    odd = action(
        {"rule": deep, "fix": None},
        {"rule": {"pattern": 3, "nthChild": "2n+1", "any": "no list", "inside": 7, "has": []}, "utils": [1]},
        {"rule": [], "transform": {"A": "replace($B, replace='a', by='b')"}, "constraints": "x", "fix": []},
        {"rewriters": [{"id": "r", "rule": {"kind": "x"}, "fix": ""}, 3], "rule": None},
    )
    assert similarity(odd, odd).r == 1.0
    assert 0 <= similarity(odd, teacher).r < 0.6


def test_the_text_of_a_rule_holds_all_of_it_with_its_variables_numbered() -> None:
    rule = {
        "rule": {
            "pattern": "f($Z, $A)",
            "nthChild": {"position": 2, "ofRule": {"kind": "call"}},
            "inside": {"kind": "block", "stopBy": {"kind": "module"}},
        },
        "constraints": {"A": {"regex": "a"}, "Z": {"regex": "z"}},
        "fix": "g($A, $Z)",
    }
    assert views(action(rule)).alpha_text == (
        'document(language="python" rule(inside(kind="block" stopBy(kind="module")) '
        'nthChild(ofRule(kind="call") position="2") pattern="f($V1, $V2)") '
        'constraints(constraint:V1(regex="z") constraint:V2(regex="a")) fix="g($V2, $V1)")'
    )


def test_both_texts_of_a_rule_hold_all_of_it_and_order_what_has_no_order() -> None:
    rule = {
        "rule": {
            "pattern": {"context": "f($Z)", "selector": "call", "strictness": "ast"},
            "nthChild": {"position": 2, "reverse": True, "ofRule": {"kind": "call"}},
            "inside": {"kind": "block", "stopBy": "end", "field": "body"},
            "not": {"regex": "^f"},
            "any": [{"pattern": "$Z"}, {"kind": "b"}, {"kind": "a"}],
            "matches": "named",
        },
        "utils": {"named": {"kind": "x"}},
        "constraints": {"A": {"regex": "a"}, "Z": {"regex": "z"}},
        "transform": {
            "NEW": {"replace": {"source": "$Z", "replace": "a", "by": "b"}},
            "B": "lowerCase($A)",
        },
        "rewriters": [{"id": "r", "rule": {"pattern": "$Q"}, "fix": "q"}],
        "fix": {
            "template": "g($NEW)",
            "expandEnd": {"regex": ","},
            "expandStart": {"kind": "x", "stopBy": "end"},
        },
    }
    # What may bind a variable (a pattern, a named rule) stays behind what binds none, in its order.
    free = (
        'rule(inside(field="body" kind="block" stopBy="end") not(regex="^f") '
        'nthChild(ofRule(kind="call") position="2" reverse="true")'
    )
    found = views(action(rule))
    assert found.raw_text == (
        'document(constraints(constraint:A(regex="a") constraint:Z(regex="z")) language="python" '
        f'utils(util:named(kind="x")) {free} pattern="f($Z)"(selector="call" strictness="ast") '
        'any(case(kind="a") case(kind="b") case(pattern="$Z")) matches="named") '
        'transform(transform:B(call="lowerCase($A)") '
        'transform:NEW(replace(by="b" replace="a" source="$Z"))) '
        'rewriters(rewriter:r(fix="q" rule(pattern="$Q"))) '
        'fix="g($NEW)"(expandEnd(regex=",") expandStart(kind="x" stopBy="end")))'
    )
    assert found.alpha_text == (
        f'document(language="python" {free} pattern="f($V1)"(selector="call" strictness="ast") '
        'any(case(kind="a") case(kind="b") case(pattern="$V1")) matches="named") '
        'constraints(constraint:V1(regex="z") constraint:V2(regex="a")) utils(util:named(kind="x")) '
        'transform(transform:V3(call="lowerCase($V2)") '
        'transform:V4(replace(by="b" replace="a" source="$V1"))) '
        'rewriters(rewriter:r(fix="q" rule(pattern="$V5"))) '
        'fix="g($V4)"(expandEnd(regex=",") expandStart(kind="x" stopBy="end")))'
    )


def test_where_a_relation_stops_looking_counts() -> None:
    def within(stop: Any) -> Any:
        return action(
            {"rule": {"pattern": "f($A)", "inside": {"kind": "block", "stopBy": stop}}, "fix": "g($A)"}
        )

    assert similarity(within("end"), within("end")).r == 1
    assert similarity(within("end"), within({"kind": "module"})).s_field < 1
    assert similarity(within("end"), within({"kind": "module"})).s_str < 1


def test_many_children_of_two_counts_are_paired_as_far_as_they_go() -> None:
    def cases(numbers: range) -> Any:
        return action({"rule": {"any": [{"pattern": f"f{n}($A, {n})"} for n in numbers]}, "fix": "g($A)"})

    few, many, others = cases(range(30)), cases(range(40)), cases(range(100, 140))
    assert similarity(few, others).s_field < similarity(few, many).s_field < 1
