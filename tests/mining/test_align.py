"""Readings of an edit: hunks that give the text after, and where a range of the text before went."""

from __future__ import annotations

import pytest

from rulewright.difftext import common_ends, splice
from rulewright.languages import Language
from rulewright.mining.text.align import Edit, blocks, variants
from rulewright.mining.text.tree import Tree

EDITS: list[tuple[Language, str, str, list[tuple[str, str]]]] = [
    ("python", "f(a, b)\n", "f(a, c)\n", [("b", "c")]),
    ("python", "f(a)\ng(b)\n", "f(a)\ng(c)\nh(d)\n", [("b", "c"), ("", "\nh(d)")]),
    ("python", "import a\nimport b\nimport c\n", "import a\nimport c\n", [("import b\n", "")]),
    ("javascript", "a(1)\nb(2)\n", "b(2)\na(1)\n", [("", "b(2)\n"), ("b(2)\n", "")]),
    ("go", "package p\n\nvar a = 1\n", "package p\n\nvar a = 2\n", [("1", "2")]),
    ("java", "class A { int a; }\n", "class A { long a; }\n", [("int", "long")]),
]


def first(language: Language, pre: str, post: str) -> Edit:
    return next(variants(Tree(pre, language), Tree(post, language)))


@pytest.mark.parametrize(("language", "pre", "post", "changes"), EDITS)
def test_the_tree_reading_finds_the_changes(
    language: Language, pre: str, post: str, changes: list[tuple[str, str]]
) -> None:
    edit = first(language, pre, post)
    assert [(pre[h.a0 : h.a1].strip(), post[h.b0 : h.b1].strip()) for h in edit.hunks] == [
        (old.strip(), new.strip()) for old, new in changes
    ]


@pytest.mark.parametrize(("language", "pre", "post", "changes"), EDITS)
def test_replacing_the_hunks_of_any_reading_gives_the_text_after(
    language: Language, pre: str, post: str, changes: list[tuple[str, str]]
) -> None:
    readings = list(variants(Tree(pre, language), Tree(post, language)))
    assert readings
    for edit in readings:
        assert splice(pre, ((h.a0, h.a1, post[h.b0 : h.b1]) for h in edit.hunks)) == post


def test_a_range_maps_to_where_it_went() -> None:
    pre, post = "f(a)\ng(b)\nh(c)\n", "f(aaa)\ng(b)\nh(c)\n"
    edit = first("python", pre, post)
    [mapped] = edit.map_range(5, 9)
    assert post[mapped.start : mapped.end] == "g(b)" and not mapped.hunks
    [around] = edit.map_range(0, 4)
    assert post[around.start : around.end] == "f(aaa)" and around.hunks == {0}


def test_a_range_that_a_hunk_straddles_maps_nowhere() -> None:
    edit = first("python", "aa + bb\n", "cc\n")
    assert edit.map_range(0, 4) == []


def test_an_insertion_at_an_edge_counts_in_or_out() -> None:
    pre, post = "a(1)\nb(2)\n", "a(1)\nx(9)\nb(2)\n"
    edit = first("python", pre, post)
    held = {mapped.hunks for mapped in edit.map_range(0, 4)}
    assert held == {frozenset(), frozenset({0})}


def test_a_hunk_slides_no_further_than_to_the_one_before() -> None:
    edit = first("python", "f(1)\nf(1)\n", "f(1, 1)\nf(1, 1)\nf(1)\n")
    assert [(h.a0, h.a1) for h in edit.hunks] == [(3, 3), (5, 5)]
    assert edit.slides == ((-1, 0), (-2, 3))


def test_a_second_hunk_settles_on_a_whole_statement_too() -> None:
    pre = "f(a, b)\nf(1, 1)\n"
    by_token = list(variants(Tree(pre, "python"), Tree("x = [1, 1, 2]\nf(a, b)\n", "python")))[1]
    assert [pre[h.a0 : h.a1] for h in by_token.hunks] == ["", "\nf(1, 1)"]


@pytest.mark.parametrize(
    ("hunks", "workable"), [(1, True), (200, True), (201, False)]
)  # fmt: skip
def test_too_many_hunks_are_not_worth_the_trouble(hunks: int, workable: bool) -> None:
    pre = "".join(f"a{i}(1)\n" for i in range(hunks))
    edit = first("python", pre, pre.replace("(1)", "(2)"))
    assert len(edit.hunks) == hunks
    assert edit.is_workable is workable


def test_changes_that_are_all_different_are_counted_as_unlike() -> None:
    pre = "".join(f"a({i})\n" for i in range(41))
    edit = first("python", pre, "".join(f"a({i + 100})\n" for i in range(41)))
    assert edit.n_unlike == 41 and not edit.is_workable


def test_blocks_cover_both_sequences_in_order() -> None:
    found = list(blocks("abcde", "axcye"))
    assert [(equal, "abcde"[i:j]) for equal, i, j, _, _ in found] == [
        (True, "a"), (False, "b"), (True, "c"), (False, "d"), (True, "e"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "ends"),
    [
        ("", "", (0, 0)),
        ("ab", "ab", (2, 0)),
        ("aa", "aaa", (2, 0)),
        ("xay", "xby", (1, 1)),
        ("a", "b", (0, 0)),
    ],
)
def test_common_ends_never_overlap(a: str, b: str, ends: tuple[int, int]) -> None:
    assert common_ends(a, b) == ends
