"""What a candidate costs more or less once its place in the edit is seen."""

from __future__ import annotations

import pytest

from rulewright.mining import costs
from rulewright.mining.judge import price
from rulewright.mining.propose import proposals
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree


def extras(pre: str, post: str, shape: str) -> dict[str, set[float]]:
    """What is added to the price of each candidate of a shape, by kind and text of its anchor."""
    edit = next(variants(Tree(pre, "python"), Tree(post, "python")))
    found: dict[str, set[float]] = {}
    for one in proposals.for_hunk(edit, 0, frozenset(), set(), lambda: False):
        if one.shape == shape:
            added = {
                round(other.extra_cost - one.extra_cost, 6) for other in price.priced(edit, one, frozenset())
            }
            found.setdefault(f"{one.kind} {one.anchor.sg.text()}", set()).update(added)
    return found


@pytest.mark.parametrize(
    ("pre", "post", "shape", "key", "added"),
    [
        # A called name alone may be anything of that name; by its call it is cheaper.
        ("old(1)\n", "fresh(1)\n", "lexical", "identifier old", {costs.CALLED, costs.BY_CALL}),
        ("x = old\n", "x = fresh\n", "lexical", "identifier old", {0.0}),
        ("oldCart(1)\n", "newCart(1)\n", "transform", "identifier oldCart", {costs.CALLED}),
        ("x = oldCart\n", "x = newCart\n", "transform", "identifier oldCart", {0.0}),
        # A class says what it is.
        ("Old(1)\n", "Fresh(1)\n", "lexical", "identifier Old", {0.0}),
        ("a.Old(1)\n", "a.Fresh(1)\n", "lexical", "identifier Old", {costs.CALLED, costs.BY_CALL}),
        # Arguments say nothing without their call.
        ("f(a, 1)\n", "f(a, 2)\n", "lexical", "argument_list (a, 1)", {costs.NO_CALL}),
        # A telling expression that is replaced by half or more needs nothing around it.
        ("x = alpha.load\n", "x = alpha.fetched\n", "lexical", "attribute alpha.load", {0.0}),
        ("x = al.fetch\n", "x = al.loadit\n", "lexical", "attribute al.fetch", {costs.MOSTLY_REPLACED}),
        ("x = alpha.fetch\n", "x = alpha.loads_\n", "lexical", "attribute alpha.fetch", {0.0}),
        ("x = alphab.fetch_\n", "x = alphab.loads_\n", "lexical", "attribute alphab.fetch_", {0.0}),
    ],
)
def test_what_is_added_to_a_price(pre: str, post: str, shape: str, key: str, added: set[float]) -> None:
    assert extras(pre, post, shape)[key] == added
