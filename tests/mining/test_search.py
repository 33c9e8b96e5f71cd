"""What the search for rules may spend, and when it has enough."""

from __future__ import annotations

import pytest

from rulewright.mining.learn.search import Budget, Spent, fill, solve
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree


def test_a_budget_pays_for_as_many_calls_as_it_holds() -> None:
    budget, is_spent = Budget(3.0, per_call=1.5), []
    for _ in range(2):
        budget.take()
        is_spent.append(budget.is_spent)
    assert is_spent == [False, True]
    with pytest.raises(Spent):
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
