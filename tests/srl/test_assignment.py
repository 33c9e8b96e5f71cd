"""The pairing of children is the best there is: compared with trying every one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions.action import Action
from rulewright.srl.reward_srl import (
    INVALID_REWARD,
    NO_CHANGE_SPAN,
    RIGHT_BASE,
    RIGHT_SPAN,
    WRONG_BASE,
    WRONG_SPAN,
)
from rulewright.srl.rule_tree import INNER_WEIGHT, RuleNode, views
from rulewright.srl.similarity import FIELD_WEIGHT, MAX_ASSIGNMENT, STRING_WEIGHT, dice, match, similarity

cases = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=5
)


def node(texts: list[str]) -> RuleNode:
    """An `any` with a pattern for each text."""
    return RuleNode("any", kids=tuple(RuleNode("pattern", 4.0, text) for text in texts))


@settings(deadline=None, max_examples=300)
@given(cases, cases)
def test_no_other_pairing_matches_more(a: list[str], b: list[str]) -> None:
    few, many = sorted((node(a), node(b)), key=lambda n: len(n.kids))
    best = max(
        sum(match(x, y) for x, y in zip(few.kids, chosen, strict=False))
        for chosen in itertools.permutations(many.kids, len(few.kids))
    )
    assert match(node(a), node(b)) == pytest.approx(INNER_WEIGHT + best)
    assert match(node(b), node(a)) == pytest.approx(INNER_WEIGHT + best)


def test_beyond_the_bound_equal_children_are_paired_first_and_the_rest_in_order() -> None:
    same = [f"same{i}" for i in range(MAX_ASSIGNMENT)]
    a, b = node([*same, "x y", "p q"]), node(["p z", *reversed(same), "x z"])
    # What is left over is sorted by text: `p q` meets `p z`, and `x y` meets `x z`, one token of two each.
    assert match(a, b) == pytest.approx(INNER_WEIGHT + 4.0 * (MAX_ASSIGNMENT + 2 * 0.5))


@pytest.mark.parametrize(("n", "like"), [(MAX_ASSIGNMENT, 2), (MAX_ASSIGNMENT + 1, 1)])
def test_one_child_meets_its_like_among_any_number_and_several_up_to_the_bound(n: int, like: int) -> None:
    many = node(["p z", *(f"same{i}" for i in range(n - 2)), "x z"])
    assert match(node(["x y"]), many) == match(many, node(["x y"])) == pytest.approx(INNER_WEIGHT + 4.0 * 0.5)
    assert match(node(["p q", "x y"]), many) == pytest.approx(INNER_WEIGHT + 4.0 * 0.5 * like)


def test_documents_keep_their_order() -> None:
    a, b, c = node(["a"]), node(["b"]), node(["c"])
    assert dice([a, b], [a, b]) == dice([], []) == 1.0
    # Either one pair of equal ones, or two pairs that share nothing but their label.
    assert dice([a, b], [b, a]) == pytest.approx(2 * max(4.5, 2 * INNER_WEIGHT) / 18.0)
    assert dice([a, b, c], [a, c]) == pytest.approx(2 * 9.0 / (13.5 + 9.0))
    assert dice([a], []) == 0.0


def test_the_order_of_atoms_does_not_decide_their_names() -> None:
    one = {"rule": {"all": [{"pattern": "f($A)"}, {"pattern": "g($B)"}]}, "fix": "$A"}
    two = {"rule": {"all": [{"pattern": "g($X)"}, {"pattern": "f($Y)"}]}, "fix": "$Y"}
    found = similarity(Action("python", (one,)), Action("python", (two,)))
    assert found.s_field == 1.0
    assert found.s_str < 1.0, "there the order of atoms that bind counts"


@pytest.mark.parametrize(("n", "same"), [(2, True), (5, True), (6, False)])
def test_the_names_of_so_many_atoms_that_look_alike_do_not_count(n: int, same: bool) -> None:
    def of(names: str, mark: str) -> Action:
        atoms = [{"has": {"pattern": f"f(${mark}{name})"}} for name in names]
        fix = ", ".join(f"${mark}{name}" for name in sorted(names))
        return Action("python", ({"rule": {"all": atoms}, "fix": f"g({fix})"},))

    names = "ABCDEF"[:n]
    found = similarity(of(names, "X"), of(names[::-1], "Y"))
    assert (found.s_field == 1.0) is same


@pytest.mark.parametrize(("n_alike", "n_others", "same"), [(3, 3, True), (4, 3, False), (5, 2, False)])
def test_the_names_of_two_sorts_of_atoms_do_not_count_up_to_120_orders(
    n_alike: int, n_others: int, same: bool
) -> None:
    """36 orders are tried; 144 and 240 are not."""

    def of(mark: str, turn: int) -> Action:
        names = ["ABCDE"[:n_alike], "PQR"[:n_others]]
        atoms = [
            {"has": {"pattern": f"{f}(${mark}{name})"}}
            for f, row in zip("fg", names, strict=True)
            for name in row[::turn]
        ]
        fix = ", ".join(f"${mark}{name}" for row in names for name in row)
        return Action("python", ({"rule": {"all": atoms}, "fix": f"h({fix})"},))

    assert (similarity(of("X", 1), of("Y", -1)).s_field == 1.0) is same


def test_the_weights_are_those_that_the_docs_give() -> None:
    """docs/reference/rewards.md: pattern and fix 4, regex 3, kind 2, another leaf 1, an inner node 0.5."""
    rule = {"rule": {"pattern": "f($A)", "kind": "call", "regex": "f"}, "fix": "g($A)"}
    (document,) = views(Action("python", (rule,))).raw
    sizes = {kid.label: kid.size for kid in document.kids}
    assert sizes == {"language": 1.0, "rule": 0.5 + 4.0 + 2.0 + 3.0, "fix": 4.0}
    assert document.size == 0.5 + sum(sizes.values())
    texts = 'pattern="f($A)" kind="call" regex="f"'
    assert document.dump() == f'document(language="python" rule({texts}) fix="g($A)")'
    assert (FIELD_WEIGHT, STRING_WEIGHT) == (0.7, 0.3)
    assert (INVALID_REWARD, NO_CHANGE_SPAN) == (-0.2, 0.2)
    assert (WRONG_BASE, WRONG_SPAN, RIGHT_BASE, RIGHT_SPAN) == (0.4, 0.4, 0.9, 0.1)
