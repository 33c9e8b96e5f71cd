"""The bounds that keep the search short: up to so many something is told, and from one more on nothing is."""

from __future__ import annotations

import pytest

from rulewright.mining import costs
from rulewright.mining.judge.soundness import effect
from rulewright.mining.propose import deletions, proposals, several, siblings
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree


def edit_of(pre: str, post: str) -> Edit:
    return next(variants(Tree(pre, "python"), Tree(post, "python")))


def renames(n: int, like: bool) -> Edit:
    pre = "".join(f"f{'' if like else i}()\nstay{i}()\n" for i in range(n))
    return edit_of(pre, pre.replace("f", "g"))


@pytest.mark.parametrize(("n", "like", "told"), [
    (200, True, True), (201, True, False), (40, False, True), (41, False, False),
])  # fmt: skip
def test_an_edit_of_so_many_hunks_and_of_so_many_unlike_ones(n: int, like: bool, told: bool) -> None:
    edit = renames(n, like)
    assert len(edit.hunks) == n and edit.is_workable is told


@pytest.mark.parametrize(
    ("n", "told"), [(2, False), (3, True), (5, True), (6, True), (40, True), (41, False)]
)
def test_a_table_of_so_many_words(n: int, told: bool) -> None:
    edit = renames(n, like=False)
    found = [
        (one, done)
        for number in range(n)
        for one in proposals.for_hunk(edit, number, frozenset(), set(), lambda: True)
        if (done := effect(edit, one)) is not None and done.sound
    ]
    tables = list(several.tabled(edit, found))
    assert bool(tables) is told
    assert all(table.extra_cost == (costs.FEW_WORDS if n <= 5 else 0.0) for table in tables)
    assert all(table.anchor.sg.text() == "f0" for table in tables), "the first of the words"
    assert not any(table.adds or table.inserts or table.blanks for table in tables)


@pytest.mark.parametrize(("n", "told"), [(12, True), (13, False)])
def test_so_many_statements_that_go(n: int, told: bool) -> None:
    pre = "first()\n" + "".join(f"go_{i}()\n" for i in range(n)) + "last()\n"
    edit = edit_of(pre, "first()\nlast()\n")
    found = list(deletions.deletions(edit, 0, frozenset()))
    assert bool(found) is told
    for one in found:
        done = effect(edit, one)
        assert done is not None and done.sound


@pytest.mark.parametrize(("n", "told"), [(12, True), (13, False)])
def test_a_run_of_so_many_statements(n: int, told: bool) -> None:
    pre = "".join(f"go_{i}()\n" for i in range(n))
    edit = edit_of(pre, "made = [\n    1,\n]\n")
    runs = list(siblings.runs(edit, 0, frozenset()))
    assert bool(runs) is told
