"""What the search for rules may spend."""

from __future__ import annotations

import pytest

from rulewright.mining.learn.search import Budget, Spent


def test_a_budget_pays_for_as_many_calls_as_it_holds() -> None:
    budget, is_spent = Budget(3.0, per_call=1.5), []
    for _ in range(2):
        budget.take()
        is_spent.append(budget.is_spent)
    assert is_spent == [False, True]
    with pytest.raises(Spent):
        budget.take()
    assert budget.spent == 3.0
