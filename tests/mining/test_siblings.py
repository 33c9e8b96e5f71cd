"""A record names other edits that its rule makes, as long as they can be read."""

from __future__ import annotations

import pytest

from rulewright.actions.action import Action
from rulewright.data.schemas import MAX_ELSEWHERE, MAX_ELSEWHERE_CHARS
from rulewright.mining.inputs import EditRow, order
from rulewright.mining.learn.siblings import Siblings

RULE = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "new($A)"},), mode="rule")


def edit(name: str, size: int = 0) -> EditRow:
    pre = f"old({name})\n"
    pre += "#" * (size - len(pre))
    return EditRow(name, "repo", "python", "", pre, pre.replace("old", "new"), group="g")


@pytest.mark.parametrize(("size", "told"), [(MAX_ELSEWHERE_CHARS, True), (MAX_ELSEWHERE_CHARS + 1, False)])
def test_a_long_text_is_no_sibling(size: int, told: bool) -> None:
    edits = [edit("a"), edit("b", size)]
    found = Siblings(edits, {"a": ("a", "b"), "b": ("a", "b")}).of(edits[0], RULE)
    assert [one.pre for one in found.get("siblings", ())] == ([edits[1].pre] if told else [])
    assert found.get("negatives", ()) == ((edits[1].post,) if told else ())


def test_a_few_siblings_are_named_and_not_the_edit_itself() -> None:
    edits = [edit(f"n{number}") for number in range(MAX_ELSEWHERE + 3)]
    names = tuple(one.id for one in edits)
    for one in edits:
        found = Siblings(edits, dict.fromkeys(names, names)).of(one, RULE)["siblings"]
        assert len(found) == MAX_ELSEWHERE and one.pre not in [other.pre for other in found]


def test_an_edit_without_a_shared_rule_has_none() -> None:
    assert Siblings([edit("a")], {}).of(edit("a"), RULE) == {}


def test_many_edits_of_one_rule_choose_from_a_few_of_them() -> None:
    edits = [edit(f"n{number}") for number in range(40)]
    names = tuple(one.id for one in edits)
    chosen = {
        sibling.pre
        for one in edits
        for sibling in Siblings(edits, dict.fromkeys(names, names)).of(one, RULE)["siblings"]
    }
    drawn = sorted(edits, key=lambda one: order(0, one.id))[: MAX_ELSEWHERE + 1]
    assert chosen == {one.pre for one in drawn}
