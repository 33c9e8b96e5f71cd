"""The bounds that keep the search short: up to so many something is told, and from one more on nothing is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from rulewright.mining import Example, costs, mine, mine_many
from rulewright.mining.inputs import EditRow
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn import corpus, generalize
from rulewright.mining.learn.generalize import MAX_EXAMPLES
from rulewright.mining.learn.pool import CandidatePool
from rulewright.mining.learn.search import Budget, BudgetSpent
from rulewright.mining.propose import deletions, insertions, proposals, runs
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, Hunk, variants
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


@pytest.mark.parametrize(("n", "told"), [(12, True), (13, False)])
def test_so_many_statements_that_go(n: int, told: bool) -> None:
    pre = "first()\n" + "".join(f"go_{i}()\n" for i in range(n)) + "last()\n"
    edit = edit_of(pre, "first()\nlast()\n")
    found = list(deletions.deletions(edit, 0, frozenset()))
    assert bool(found) is told
    for one in found:
        done = effect(edit, one)
        assert done is not None and done.is_sound


@pytest.mark.parametrize(("n", "told"), [(12, True), (13, False)])
def test_a_run_of_so_many_statements(n: int, told: bool) -> None:
    pre = "".join(f"go_{i}()\n" for i in range(n))
    edit = edit_of(pre, "made = [\n    1,\n]\n")
    assert bool(list(runs.runs(edit, 0, frozenset()))) is told


def proposed(pre: str, post: str) -> list[Candidate]:
    return list(proposals.for_hunk(edit_of(pre, post), 0, frozenset(), set(), lambda: False))


@pytest.mark.parametrize(("n", "shape"), [(60, "lexical"), (61, "literal")])
def test_a_text_of_so_many_characters_is_short(n: int, shape: str) -> None:
    found = proposed(f"x = '{'a' * (n - 2)}'\n", "x = b\n")
    shapes = {one.shape for one in found if one.anchor.kind == "string"}
    assert shapes & {"lexical", "literal"} == {shape}


@pytest.mark.parametrize(("n", "by"), [(60, {"pattern"}), (61, {"kind", "pattern", "regex"})])
def test_a_neighbor_of_so_many_characters_is_named_by_all_of_its_text(n: int, by: set[str]) -> None:
    text = f"a('{'b' * (n - 5)}')"
    edit = edit_of(f"{text}\n", f"{text}\nc()\n")
    found = [one.rule["rule"] for one in insertions.insertions(edit, 0)]
    assert len(text) == n and {frozenset(one) for one in found} == {frozenset(by)}


@pytest.mark.parametrize(("n", "told"), [(2_500, True), (2_501, False)])
def test_a_place_of_so_many_characters_is_still_one(n: int, told: bool) -> None:
    found = proposed(f"f(a, '{'b' * (n - 8)}')\n", f"g(a, '{'b' * (n - 8)}')\n")
    assert (n in {one.anchor.size for one in found if one.anchor.kind == "call"}) is told


@pytest.mark.parametrize(("n", "ways"), [(700, 2), (701, 1)])
def test_a_large_place_is_lifted_in_one_way_only(n: int, ways: int) -> None:
    text = f"f(a.x, b, '{'b' * (n - 13)}')"
    found = proposed(f"{text}\n", f"{text.replace('f(', 'g(')}\n")
    patterns = {one.key for one in found if one.anchor.size == n and one.shape == "pattern"}
    assert len(text) == n and len(patterns) == ways


@pytest.mark.parametrize(("body", "price"), [("go", 0.0), ("a.go", costs.COPIED)])
def test_two_words_of_what_a_variable_stood_for_are_a_copy(body: str, price: float) -> None:
    found = proposed(f"with lock:\n    {body}()\nstop()\n", f"{body}(lock)\nstop()\n")
    assert {one.extra_cost for one in found if one.shape == "pattern"} == {price}


def test_so_many_places_around_a_change_are_tried() -> None:
    deep = "a"
    for n in range(12):
        deep = f"f{n}({deep})"
    found = proposed(f"{deep}\n", f"{deep.replace('a', 'b')}\n")
    places = {one.anchor.index for one in found if one.shape in ("pattern", "lexical", "literal")}
    assert len(places) == proposals.MAX_ANCHORS == 8


@pytest.mark.parametrize(("n", "told"), [(1_496, True), (1_497, False)])
def test_a_run_of_so_many_characters_in_its_patterns(n: int, told: bool) -> None:
    """`$A` beside the statement that changes, and two parentheses: 1,500 in all."""
    edit = edit_of(f"a()\n{'b' * n}()\nc()\n", "a()\nd()\nc()\n")
    found = list(runs.runs(edit, 0, frozenset()))
    assert any("expression_statement" in one.key for one in found) is told


@pytest.mark.parametrize(("n", "told"), [(4_000, True), (4_001, False)])
def test_a_run_of_so_many_changed_characters(n: int, told: bool) -> None:
    text = f"b('{'x' * (n - 5)}')"
    edit = edit_of(f"a()\n{text}\nc()\n", f"a()\nd{text[1:]}\nc()\n")
    found = list(runs.runs(edit, 0, frozenset()))
    assert len(text) == n and any("expression_statement" in one.key for one in found) is told


@pytest.mark.parametrize(("n", "alike"), [(40, True), (41, False)])
def test_so_many_children_are_paired_by_likeness(n: int, alike: bool) -> None:
    """Beyond it by their order: then what goes at the front makes all others differ."""
    pre = "first(one, two, three)\n" + "".join(f"call_{i}(a{i}, b{i}, c{i})\n" for i in range(n - 1))
    post = "".join(f"call_{i}(a{i}, b{i}, d{i})\n" for i in range(n - 1))
    edit = edit_of(pre, post)
    gone = [pre[h.a0 : h.a1] for h in edit.hunks]
    assert (gone[0] == "first(one, two, three)\n") is alike


@pytest.mark.parametrize(("n", "slide"), [(399, 399), (400, 400), (401, 400)])
def test_a_change_is_moved_aside_so_far(n: int, slide: int) -> None:
    pre = "x" * n
    edit = Edit(Tree(f"'{pre}'\n", "python"), Tree(f"'{pre}x'\n", "python"), (Hunk(1, 1, 1, 2),))
    assert edit.slides == ((0, slide),)
    back = Edit(edit.pre, edit.post, (Hunk(n + 1, n + 1, n + 1, n + 2),))
    assert back.slides == ((-slide, 0),)


@pytest.mark.parametrize(("n", "compared"), [(9, 72), (10, 80)])
def test_so_many_pairs_of_examples_are_compared(
    n: int, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, usual = [], generalize.anti_unify

    def counted(left: Sequence[CandidatePool], right: Sequence[CandidatePool]) -> Iterator[Candidate]:
        pairs.append((left, right))
        return usual(left, right)

    one = generalize.PreparedExample(Example("old(a)\n", "fresh(a)\n", "python"))
    monkeypatch.setattr(generalize, "anti_unify", counted)
    generalize.generalize([one] * n)
    assert len(pairs) == compared


@pytest.mark.parametrize(("n", "told"), [(20, True), (21, False)])
def test_code_with_so_many_errors_is_mined(n: int, told: bool) -> None:
    pre = "".join(f"f{i}(a b)\n" for i in range(n))
    assert Tree(pre, "python").n_errors() == n
    assert (mine(pre, pre.replace("f0(", "g("), "python").action is not None) is told


@pytest.mark.parametrize(("n", "kinds"), [(2, 2), (3, 3), (4, 0)])
def test_a_variable_in_parentheses_is_of_so_many_kinds(n: int, kinds: int) -> None:
    values = ["a", "1", "'s'", "b.c"][:n]
    pre, post = ("".join(f"x = !{way.format(one)};\nstay();\n" for one in values) for way in ("{}", "({})"))
    action = mine(pre, post, "javascript").action
    assert action is not None and len(action.rules) == 1
    assert len(action.rules[0].get("constraints", {}).get("A", {"any": []})["any"]) == kinds


def test_a_group_of_more_examples_is_cut() -> None:
    group = [Example(f"x{i} = old(a)\n", f"x{i} = fresh(a)\n", "python") for i in range(26)]
    assert max(n for rule in mine_many(group) for n in rule.exact) == MAX_EXAMPLES - 1 == 23


def test_the_files_of_a_commit_are_mined_so_many_at_a_time() -> None:
    def row(n: int, commit: str) -> EditRow:
        return EditRow(str(n), "repo", "python", "", "a\n", "b\n", extra={"commit": commit} if commit else {})

    edits = [row(n, "c") for n in range(25)] + [row(25, "d"), row(26, ""), row(27, "")]
    assert [len(part) for part in corpus.changes(edits)] == [12, 12, 1, 1, 1, 1]


def test_a_budget_is_spent_when_nothing_of_it_is_left() -> None:
    budget, states = Budget(2.0), []
    for _ in range(2):
        budget.take()
        states.append((budget.spent, budget.is_spent))
    assert states == [(1.0, False), (2.0, True)]
    with pytest.raises(BudgetSpent):
        budget.take()
