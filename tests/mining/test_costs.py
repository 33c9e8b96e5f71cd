"""Every number of the table of costs decides something: an edit, a price, or what is tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rulewright.actions.codec import render_rules
from rulewright.languages import Language, language_of_path
from rulewright.mining import Example, costs, mine, mine_many
from rulewright.mining.judge.confidence import WEIGHTS, confidence, drops_unnamed, properties
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn.pool import CandidatePool, SoundCandidate
from rulewright.mining.learn.search import Budget, Plan, fill
from rulewright.mining.propose import proposals
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree

CASES = Path(__file__).parent / "cases"

DECIDES: list[tuple[str, float, str]] = [
    ("TOKEN", 0.0, "cpp-qualified-call"),
    ("PER_40_CHARS", 0.0, "python-comparison-none"),
    ("PER_TEXT", 0, "go-errors-wrap"),
    ("FEW_VARIABLES", 0, "python-dict-comprehension"),
    ("ENOUGH_BITS", 0.0, "python-decorator-goes"),
    ("VAGUE", 0.0, "python-decorator-goes"),
    ("VAGUE_INSERT", 0.0, "python-list-item-comes"),
    ("VAGUE_TOKEN", 0.16, "python-version-number"),
    ("LEVEL", 0.0, "python-not-in"),
    ("WRAPPED", 0.0, "typescript-any-to-unknown"),
    ("BY_REGEX", 0.0, "python-number"),
    ("ALL_NAMES_OPEN", 0.0, "python-argument-dropped"),
    ("NO_LEAVES", 0.0, "python-subscript-to-get"),
    ("OVER_NEIGHBOR", 0.0, "typescript-modifier-goes"),
    ("SAME_NAME", 0.0, "tsx-component-renamed"),
    ("MOSTLY_REPLACED", 0.0, "go-errors-wrap"),
    ("NO_CALL", 0.0, "python-keyword-goes"),
    ("AROUND", 0.0, "python-decorator-goes"),
    ("TELLING_BITS", 0.0, "go-comparison"),
    ("TOKEN_READING", 1.0, "python-dict-comprehension"),
    ("VARIABLE_KIND", 0.01, "python-only-strings"),
    ("VARIABLE_TEXT", 0.01, "python-only-strings"),
    ("NO_NAME", 0.0, "python-name-moves"),
    ("PARENT_KIND", 0.01, "python-parameter-comes"),
    ("PARENT_FIELD", 0.01, "c-static-comes"),
    ("ANCESTOR_NAME", 50.0, "python-only-in-class"),
    ("PER_CHAR", 50.0, "python-only-in-class"),
    ("ANCESTOR_KIND", 0.01, "java-diamond"),
    ("NEIGHBOR_KIND_ASKED", 0.01, "java-import-comes"),
    ("NEIGHBOR_TEXT", 0.01, "java-import-comes"),
    ("NOT_INSIDE", 0.01, "python-parameter-comes"),
    ("BY_CALL", 0.0, "javascript-substr"),
    ("CALLED", 0.0, "java-static-call"),
    ("STEP", 100.0, "python-import-and-calls"),
    ("TELLING", 0.0, "python-annotation-optional"),
    ("SATISFIED", 0.0, "javascript-ternary"),
    ("BASE.pattern", 0.0, "python-argument-dropped"),
    ("BASE.transform", 0.0, "python-keyword-renamed"),
    ("BASE.lexical", 0.0, "python-dict-comprehension"),
    ("BASE.delete", 0.0, "python-keyword-goes"),
    ("BASE.insert", 0.0, "python-import-comes"),
    ("BASE.literal", 0.0, "python-except-name"),
    ("BASE.run", 0.0, "csharp-attribute-renamed"),
    ("BASE.sequence", -8.0, "java-statements-together"),
    ("SIBLING", 0.0, "javascript-statements-one-by-one"),
]
"""A number, what it is changed to, and a case whose rule then changes."""

CHARGED: list[tuple[str, float, Language, str, str]] = [
    ("IMPORT_OPEN", 4.79, "python", "import os\nfrom six import map\nrun(os)\n", "import os\nrun(os)\n"),
    ("LINES_IN_TOKEN", 2.4, "python", '"""One\ntwo three.\n"""\n', '"""One two\nthree.\n"""\n'),
    ("COPIED", 3.13, "python", "with lock:\n    a.run(beta)\nstop()\n", "a.run(beta, lock)\nstop()\n"),
]  # fmt: skip
"""A number, and an edit with candidates that pay it: the price of the cheapest of these."""

ELSEWHERE = {"PER_CROWDED_VARIABLE", "GOOD", "SMALLER_REWRITE", "LAST_RESORT", "OF_THIS_FILE"}
"""Shown by tests of their own below."""


def numbers() -> set[str]:
    plain = {name for name, value in vars(costs).items() if name.isupper() and isinstance(value, int | float)}
    return plain | {f"BASE.{shape}" for shape in costs.BASE}


def change(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    if name.startswith("BASE."):
        monkeypatch.setattr(costs, "BASE", {**costs.BASE, name.removeprefix("BASE."): value})
    else:
        monkeypatch.setattr(costs, name, value)


def test_every_number_is_shown_to_decide_something() -> None:
    assert {name for name, *_ in (*DECIDES, *CHARGED)} | ELSEWHERE == numbers()


@pytest.mark.parametrize(("name", "value", "case"), DECIDES, ids=lambda value: str(value))
def test_an_edit_gets_another_rule_where_the_number_is_another(
    name: str, value: float, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next(CASES.glob(f"*/{case}"))
    before, after = (next(folder.glob(f"{side}.*")) for side in ("before", "after"))
    change(monkeypatch, name, value)
    mined = mine(before.read_text("utf-8"), after.read_text("utf-8"), language_of_path(before))
    known = (folder / "rule.yml").read_text("utf-8").rpartition("\n---\n")[0]
    assert mined.action is None or render_rules(mined.action).rstrip() != known.rstrip()


def edit_of(language: Language, pre: str, post: str) -> Edit:
    return next(variants(Tree(pre, language), Tree(post, language)))


def candidates(language: Language, pre: str, post: str) -> Iterator[Candidate]:
    edit = edit_of(language, pre, post)
    for number in range(len(edit.hunks)):
        yield from proposals.for_hunk(edit, number, frozenset(), set(), lambda: False)


@pytest.mark.parametrize(("name", "price", "language", "pre", "post"), CHARGED)
def test_a_candidate_pays_for_what_is_known_to_go_wrong(
    name: str, price: float, language: Language, pre: str, post: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {c.key: c.cost for c in candidates(language, pre, post)}
    change(monkeypatch, name, getattr(costs, name) + 10.0)
    more = {c.key: round(c.cost - usual[c.key]) for c in candidates(language, pre, post)}
    assert set(more.values()) >= {0, 10}
    assert min(cost for key, cost in usual.items() if more[key] >= 10) == pytest.approx(price, abs=0.01)


def one(language: Language, pre: str, post: str) -> Candidate:
    return next(candidates(language, pre, post))


def test_variables_beyond_the_fifth_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = one("python", "f(a)\n", "g(a)\n")
    assert costs.PER_CROWDED_VARIABLE > 0
    for names, crowded in (("ABCDE", 0), ("ABCDEFGH", 3)):
        rule = {"rule": {"pattern": f"f({', '.join(f'${name}' for name in names)})"}, "fix": "g()"}
        cost = replace(usual, rule=rule).cost
        with monkeypatch.context() as changed:
            changed.setattr(costs, "PER_CROWDED_VARIABLE", costs.PER_CROWDED_VARIABLE + 10.0)
            assert replace(usual, rule=rule).cost - cost == pytest.approx(10.0 * crowded)


def test_shapes_that_fit_more_places_cost_less() -> None:
    order = ["pattern", "transform", "lexical", "delete", "insert", "literal", "sequence", "run"]
    assert sorted(costs.BASE, key=lambda shape: costs.BASE[shape]) == order


def test_a_hunk_with_a_good_rule_is_not_solved_again() -> None:
    edit = edit_of("python", "f(a)\n", "g(a)\n")
    for candidate in candidates("python", "f(a)\n", "g(a)\n"):
        done = effect(edit, candidate)
        if done is None or not done.is_sound:
            continue
        for extra, solved in ((0.0, True), (costs.GOOD, False)):
            kept = CandidatePool(edit)
            kept.add(SoundCandidate(replace(candidate, extra_cost=extra), done))
            assert kept.is_solved(0) is solved
        return
    pytest.fail("no sound candidate")


RULE: dict[str, Any] = {"rule": {"pattern": "getcwdu($A)"}, "fix": "getcwd($A)"}
SIGNS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("gone", RULE, {"rule": {"pattern": "getcwdu($A, legacy)"}, "fix": "getcwd($A)"}),
    ("kept", RULE, {"rule": {"pattern": "getcwdu($A).strip"}, "fix": "getcwd($A).strip"}),
    ("new", RULE, {**RULE, "fix": "getcwd($A, alpha, beta)"}),
    ("odd spacing", RULE, {**RULE, "fix": "getcwd( $A )"}),
    ("brings an import", RULE, {**RULE, "fix": "require($A)"}),
    ("several lines", RULE, {**RULE, "fix": "getcwd(\n$A)"}),
    ("deletes", RULE, {**RULE, "fix": {"template": "getcwd($A)", "expandEnd": {"regex": "^,$"}}}),
    ("drops a variable", RULE, {**RULE, "fix": "getcwd()"}),
    ("narrowed", RULE, {**RULE, "constraints": {"A": {"kind": "string"}}}),
    ("narrowed", RULE, {**RULE, "rule": {"all": [RULE["rule"], {"inside": {"kind": "block"}}]}}),
]
"""A property, a rule, and the same rule with more of it and nothing else that is weighed."""


def test_every_weight_has_its_pair() -> None:
    assert {name for name, *_ in SIGNS} == set(WEIGHTS)


@pytest.mark.parametrize(("name", "less", "more"), SIGNS, ids=[name for name, *_ in SIGNS])
def test_the_sign_of_a_weight(name: str, less: dict[str, Any], more: dict[str, Any]) -> None:
    here, there = properties(less), properties(more)
    assert {key for key in here if here[key] != there[key]} == {name}
    assert there[name] > here[name]
    assert (confidence([more]) > confidence([less])) is (name in ("gone", "narrowed"))


def test_of_two_forms_of_a_rule_the_one_that_rewrites_less_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    group = [Example(f"x = ask({name})\n", f"x = checked(ask({name}))\n", "python") for name in "ab"]
    assert mine_many(group)[0].candidate.rule["fix"] == "checked($W)"
    change(monkeypatch, "SMALLER_REWRITE", 1.0)
    assert mine_many(group)[0].candidate.rule["fix"] == "checked(ask($$$A))"


def found(language: Language, pre: str, post: str) -> list[SoundCandidate]:
    return fill(edit_of(language, pre, post), Budget(1200)).sound


def test_a_plan_with_a_literal_rule_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    both = found("javascript", "start();\nold(a);\nstop();\n", "start();\nfresh(a);\nstop();\n")
    general = next(one for one in both if one.candidate.generalizes)
    literal = replace(general, candidate=replace(general.candidate, shape="literal"))
    usual = [Plan((general,), ("",), 0.0).cost, Plan((literal,), ("",), 0.0).cost]
    monkeypatch.setattr(costs, "LAST_RESORT", costs.LAST_RESORT + 10.0)
    again = [Plan((general,), ("",), 0.0).cost, Plan((literal,), ("",), 0.0).cost]
    assert again == [usual[0], pytest.approx(usual[1] + 10.0)]
    # Five general rules of the usual price come before a single literal one.
    assert costs.LAST_RESORT > 5 * costs.GOOD + 4 * costs.STEP


def test_a_fix_that_speaks_of_an_expansion_is_none() -> None:
    assert not drops_unnamed({"rule": {"pattern": "old"}, "fix": "expandStart"})
    takes = {"template": "", "expandStart": {"kind": "comment"}}
    assert drops_unnamed({"rule": {"pattern": "old"}, "fix": takes})
    assert not drops_unnamed({"rule": {"pattern": "old", "follows": {"kind": "comment"}}, "fix": takes})
    assert not drops_unnamed({"rule": {"pattern": "old"}, "fix": {**takes, "expandStart": {"regex": "^,$"}}})
