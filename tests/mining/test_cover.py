"""The few rules that make a change of several files: what they may spell out, and from how many files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rulewright import engine
from rulewright.actions.action import Action
from rulewright.languages import Language
from rulewright.mining import costs
from rulewright.mining.by_hand.learn import without_needless
from rulewright.mining.learn.cover import (
    MAX_SEARCHED,
    ROUNDS,
    ChangedFile,
    GradedRule,
    covering_rules,
)
from rulewright.mining.learn.grading import Tier


def learned(*texts: tuple[str, str, set[int]]) -> list[GradedRule]:
    return covering_rules(
        [ChangedFile(pre, post, frozenset(seen)) for pre, post, seen in texts], "python", 2.0
    )


def written(*texts: tuple[str, str, set[int]]) -> list[dict[str, Any]]:
    return [dict(one.rule) for one in learned(*texts)]


@pytest.mark.parametrize(("n", "whole"), [(3, True), (4, False)])
def test_a_rule_brings_so_many_lines(n: int, whole: bool) -> None:
    more = "".join(f"    more{i}()\n" for i in range(n))
    [rule] = written(("def f():\n    start(a)\n", f"def f():\n    begin(a)\n{more}", set()))
    assert ("more" in str(rule["fix"])) is whole


@pytest.mark.parametrize(("n", "found"), [(24, 24), (25, 24)])
def test_rules_are_made_from_so_many_files(n: int, found: int) -> None:
    assert MAX_SEARCHED * ROUNDS == 24
    assert len(written(*[(f"f{i}(a)\n", f"g{i}(a)\n", set()) for i in range(n)])) == found


CALLS = {"rule": {"pattern": "f", "inside": {"kind": "call", "field": "function"}}, "fix": "g"}


@pytest.mark.parametrize(
    ("seen", "rule"),
    [
        # The line that was left alone says nothing, unless the person saw it.
        (set(), CALLS),
        ({1}, CALLS),
        ({4}, {"rule": {"pattern": "f($A)"}, "constraints": {"A": {"kind": "integer"}}, "fix": "g($A)"}),
    ],
)
def test_a_line_that_was_seen_stays(seen: set[int], rule: dict[str, Any]) -> None:
    assert written(("go()\nf(1)\nf(2)\nf('x')\n", "go()\ng(1)\ng(2)\nf('x')\n", seen)) == [rule]


def test_one_rule_for_two_files_and_none_that_the_others_make_needless() -> None:
    change = [
        ("a = old(1)\nb = odd(1)\n", "a = new(1)\nb = even(1)\n", set[int]()),
        ("old(2)\n", "new(2)\n", set[int]()),
    ]
    assert sorted(str(rule["fix"]) for rule in written(*change)) == ["even", "new"]


def test_a_file_that_changes_nothing_teaches_nothing() -> None:
    assert learned(("a\n", "a\n", set())) == []


def renamed(code: str) -> list[dict[str, Any]]:
    return written((code, code.replace("old", "fresh"), set()))


def test_a_name_that_is_called_on_several_things_is_renamed_by_call() -> None:
    call = {"kind": "call", "field": "function"}
    member = {"kind": "attribute", "field": "attribute"}
    called = [rule["rule"]["inside"] for rule in renamed("import os\nos.old(1)\nself.old(2)\nold(3)\n")]
    assert called == [
        {**member, "has": {"field": "object", "regex": "^os$"}, "inside": call},
        {**member, "has": {"field": "object", "regex": "^self$"}, "inside": call},
        call,
    ]
    # Any other value before the name is one like another.
    called = [rule["rule"]["inside"] for rule in renamed("old(3)\nx.old(2)\nx.y.old(4)\n")]
    assert called == [call, {**member, "inside": call}]


def test_a_name_that_is_not_only_called_is_renamed_as_that() -> None:
    code = "old(3)\nx.old(2)\nz = old\n"
    assert renamed(code) == [{"rule": {"pattern": "old"}, "fix": "fresh"}]
    # A use that was left alone is none of those that changed.
    assert len(written((code, code.replace("old(", "fresh("), set()))) == 2


@pytest.mark.parametrize(
    ("one", "other", "stays"),
    [("train", "literal", "train"), ("literal", "train", "train"), ("reject", "literal", "literal")],
)
def test_of_two_rules_that_do_the_same_the_more_trusted_one_stays(
    one: Tier, other: Tier, stays: Tier
) -> None:
    [rule] = learned(("f(a)\n", "g(a)\n", set()))
    found = [replace(rule, tier=one), replace(rule, tier=other)]
    assert [kept.tier for kept in without_needless(found, lambda some: 0 if some else 1)] == [stays]
    assert without_needless(found, lambda some: 2 - len(some)) == found


@pytest.mark.parametrize(
    ("values", "tier", "reason"),
    [
        ("1", "literal", "too doubtful: 0.72 likely to be right elsewhere"),
        ("11", "literal", "too doubtful: 0.72 likely to be right elsewhere"),
        ("111", "train", "3 places agree"),
        ("12", "train", "2 unlike places agree"),
    ],
)
def test_places_that_agree_on_a_doubtful_rule(values: str, tier: Tier, reason: str) -> None:
    pre, post = (
        "".join(f"go{n}()\nx = {way.format(value)}\n" for n, value in enumerate(values))
        for way in ("old_one({}) or other", "fresh({}, other, more, most)")
    )
    assert [(rule.tier, rule.reason) for rule in learned((pre, post, set()))] == [(tier, reason)]


ADJACENT: dict[str, tuple[Language, str, str, list[tuple[str, Any]]]] = {
    "statements that become others": (
        "python",
        "def test(self):\n"
        "    self.assertEqual(f(1), 2)\n    self.assertEqual(g(), 'x')\n    self.assertTrue(h())\n",
        "def test(self):\n    assert f(1) == 2\n    assert g() == 'x'\n    assert h()\n",
        [("self.assertEqual($A, $B)", "assert $A == $B"), ("self.assertTrue($A)", "assert $A")],
    ),
    "declarations that become imports": (
        "javascript",
        "const fs = require('fs');\nconst path = require('path');\n",
        "import fs from 'fs';\nimport path from 'path';\n",
        [("const $A = require('$A');", "import $A from '$A';")],
    ),
    "what differs goes": (
        "python",
        "class A(B):\n    def run(self, x):\n        super(A, self).run(x)\n\n\n"
        "class C(D):\n    def get(self):\n        return super(C, self).get()\n",
        "class A(B):\n    def run(self, x):\n        super().run(x)\n\n\n"
        "class C(D):\n    def get(self):\n        return super().get()\n",
        [("super($$$A, self)", "super()")],
    ),
    "two forms of one call": (
        "python",
        "def f(a, b):\n    log.info('x %s' % a)\n    log.warning('y %s %s' % (a, b))\n",
        "def f(a, b):\n    log.info('x %s', a)\n    log.warning('y %s %s', a, b)\n",
        [("$A.info($B % $C)", "$A.info($B, $C)"), ("$A % ($B, $C)", "$A, $B, $C")],
    ),
}


@pytest.mark.parametrize("case", ADJACENT.values(), ids=ADJACENT.keys())
def test_what_stands_side_by_side_is_learned_apart(
    case: tuple[Language, str, str, list[tuple[str, Any]]],
) -> None:
    language, pre, post, rules = case
    found = [one.rule for one in covering_rules([ChangedFile(pre, post)], language, 2.0)]
    assert [(one["rule"]["pattern"], one["fix"]) for one in found] == rules


def test_a_rule_that_keeps_a_variable_of_the_file_costs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    language, pre, post, rules = ADJACENT["two forms of one call"]
    monkeypatch.setattr(costs, "OF_THIS_FILE", 0.0)
    found = [one.rule for one in covering_rules([ChangedFile(pre, post)], language, 2.0)]
    assert found[0]["rule"]["pattern"] == "'x %s' % a" != rules[0][0]


@pytest.mark.parametrize(
    ("pre", "post"),
    [("RUN = ['a', 'b']\n", "RUN = ['a', 'c', 'b']\n"), ("f(1)(1)\n", "f(2)(1)\n")],
)
def test_what_stays_on_a_changed_line_was_seen(pre: str, post: str) -> None:
    found = covering_rules([ChangedFile(pre, post)], "python", 2.0)
    action = Action("python", tuple(one.rule for one in found), mode="rule")
    assert found and engine.apply(action, pre).post == post


def test_an_import_is_written_at_the_top_level_only() -> None:
    pre, post = "const a = require('a');\n", "import a from 'a';\n"
    (found,) = covering_rules([ChangedFile(pre, post)], "javascript", 2.0)
    action = Action("javascript", (found.rule,), mode="rule")
    inside = "function f() {\n  const a = require('a');\n}\n"
    assert engine.apply(action, pre + inside).post == post + inside
