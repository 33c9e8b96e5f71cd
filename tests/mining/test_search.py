"""What the search for rules may spend, and when it has enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rulewright.mining.learn.pool import CandidatePool, SoundCandidate
from rulewright.mining.learn.search import Budget, BudgetSpent, fill, solve
from rulewright.mining.propose.candidate import Candidate, Effect, Shape
from rulewright.mining.text.align import Edit, Hunk, variants
from rulewright.mining.text.tree import Tree


def test_a_budget_pays_for_as_many_calls_as_it_holds() -> None:
    budget, is_spent = Budget(3.0, per_call=1.5), []
    for _ in range(2):
        budget.take()
        is_spent.append(budget.is_spent)
    assert is_spent == [False, True]
    with pytest.raises(BudgetSpent):
        budget.take()
    assert budget.spent == 3.0


@pytest.mark.parametrize(
    ("pre", "post", "ends"),
    [
        ("print a\n", "print(a)\n", True),
        ("x = d.has_key(k)\n", "x = k in d\n", True),
        ("print a\nraise Wrong, 'b'\nx = 1\n", "print(a)\nraise Wrong('b')\nx = 1\n", False),
    ],
)
def test_one_good_general_rule_ends_the_search(pre: str, post: str, ends: bool) -> None:
    trees = Tree(pre, "python"), Tree(post, "python")
    readings = list(variants(*trees))
    assert len(readings) == 2
    one, all_ = Budget(1_000.0), Budget(1_000.0)
    fill(readings[0], one)
    assert solve(*trees, all_) is not None
    assert (all_.spent == one.spent) is ends, "the second reading costs more tries"


@pytest.mark.parametrize(("n", "shapes"), [(5, ["pattern"] * 5), (6, ["run"])])
def test_at_most_five_rules_make_an_edit(n: int, shapes: list[str]) -> None:
    parts = ["v.k()", "z(v, 1)", "[v]", "not v", "v + 1", "y[v]"][:n]
    pre = "".join(f"old_{i}(v)\nkeep_{i}()\n" for i in range(n))
    post = "".join(f"{part}\nkeep_{i}()\n" for i, part in enumerate(parts))
    plan = solve(Tree(pre, "python"), Tree(post, "python"), Budget(4000))
    assert plan is not None and [step.candidate.shape for step in plan.steps] == shapes
    assert plan.states[-1] == post


def test_a_rule_after_another_keeps_the_roles_that_its_own_text_shows() -> None:
    pre = "import { old } from './a-rather-long-name';\nold(first);\nold(second);\nx = Math.pow(a, b);\n"
    post = pre.replace("old", "fresh").replace("Math.pow(a, b)", "a ** b")
    plan = solve(Tree(pre, "javascript"), Tree(post, "javascript"), Budget(4000))
    assert plan is not None and plan.states[-1] == post
    first, second = (step.candidate.rule for step in plan.steps)
    assert (first["fix"], second["fix"]) == ("fresh", "$A ** $B")
    assert all("binary_expression" in one["not"]["kind"] for one in second["constraints"].values())


PRE = "f(a)\ng()\nf(b)\n"
EDIT = Edit(
    Tree(PRE, "python"), Tree(PRE.replace("f", "h"), "python"), (Hunk(0, 1, 0, 1), Hunk(9, 10, 9, 10))
)


def kept_of(*found: SoundCandidate, edit: Edit = EDIT) -> CandidatePool:
    kept = CandidatePool(edit)
    for one in found:
        kept.add(one)
    return kept


def found_for(hunks: set[int], pattern: str = "f($A)", shape: Shape = "pattern") -> SoundCandidate:
    call = EDIT.pre.at(0, 4)[-1]
    rule = {"rule": {"pattern": pattern}, "fix": pattern.replace("f", "h")}
    candidate = Candidate(rule, shape, call, "call", frozenset(hunks))
    return SoundCandidate(candidate, Effect(frozenset(hunks), ((0, 4),), (), ""))


@pytest.mark.parametrize(
    ("strict", "hunks", "pattern", "solved"),
    [
        (True, {0, 1}, "f(\n$A)", {0, 1}),
        # By hand, several changes on several lines want rules of their own.
        (False, {0, 1}, "f(\n$A)", set()),
        (False, {0}, "f(\n$A)", {0}),
        (False, {0, 1}, "f($A)", {0, 1}),
        # What nobody can read at a glance, or what costs too much, solves nothing.
        (True, {0, 1}, f"f({'a' * 400})", set()),
        (True, {0}, f"f({', '.join(f'$A{i}' for i in range(20))})", set()),
    ],
)
def test_a_hunk_is_solved_by_a_short_and_good_rule(
    strict: bool, hunks: set[int], pattern: str, solved: set[int]
) -> None:
    kept = kept_of(found_for(hunks, pattern), edit=replace(EDIT, strict=strict))
    assert {number for number in (0, 1) if kept.is_solved(number)} == solved


def test_a_literal_rule_is_tried_where_nothing_as_good_is_known() -> None:
    literal, run = found_for({0}, "f(a)", "literal").candidate, found_for({0}, "f(a)", "run").candidate
    assert kept_of().wants(literal, 0) and kept_of().wants(run, 0)
    # A rule with variables for one hunk is cheaper there; for all of them, no run is needed any more.
    assert not kept_of(found_for({0})).wants(literal, 0) and kept_of(found_for({0})).wants(literal, 1)
    assert not kept_of(found_for({1}), found_for({0}, "f(a)", "lexical")).wants(run, 1)
    assert kept_of(found_for({0}, "f(a)", "run")).wants(replace(literal, hunks=frozenset({0, 1})), 0)
    assert not kept_of(found_for({0, 1})).wants(replace(run, extra_cost=-50.0), 0)
    assert kept_of(found_for({0, 1})).wants(replace(literal, extra_cost=-50.0), 0)
    assert not kept_of(found_for({0, 1})).wants(replace(literal, hunks=frozenset({0, 1})), 0)
