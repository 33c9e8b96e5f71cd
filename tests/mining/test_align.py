"""Readings of an edit: hunks that give the text after, and where a range of the text before went."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mining.test_cases import CASES, case

from rulewright.difftext import common_ends, splice
from rulewright.languages import Language, language_of_path
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
    assert edit.n_distinct == 41 and not edit.is_workable


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


SOME = CASES[::4]


def readings(folder: Path) -> list[Edit]:
    before, after, *_ = case(folder)
    language = language_of_path(next(folder.glob("before.*")))
    return list(variants(Tree(before, language), Tree(after, language)))


def moved(edit: Edit, number: int, by: int) -> str:
    """The text after, with one hunk made so many characters further right."""
    hunk = edit.hunks[number]
    a0, a1, b0, b1 = (at + by for at in hunk)
    places = [(h.a0, h.a1, edit.post.text[h.b0 : h.b1]) for h in edit.hunks]
    places[number] = a0, a1, edit.post.text[b0:b1]
    return splice(edit.pre.text, places)


@pytest.mark.parametrize("folder", SOME, ids=lambda folder: folder.name)
def test_a_hunk_holds_no_more_than_what_differs(folder: Path) -> None:
    for edit in readings(folder):
        assert splice(edit.pre.text, ((h.a0, h.a1, edit.post.text[h.b0 : h.b1]) for h in edit.hunks)) == (
            edit.post.text
        )
        for before, after in zip(edit.hunks, edit.hunks[1:], strict=False):
            assert before.a1 <= after.a0 and before.b1 <= after.b0
            assert edit.pre.text[before.a1 : after.a0] == edit.post.text[before.b1 : after.b0]
        for hunk in edit.hunks:
            old, new = edit.pre.text[hunk.a0 : hunk.a1], edit.post.text[hunk.b0 : hunk.b1]
            assert old != new
            for one, other in ((old[:1], new[:1]), (old[-1:], new[-1:])):
                assert one != other or not one.isspace(), "blanks that both have are no change"


@pytest.mark.parametrize("folder", SOME, ids=lambda folder: folder.name)
def test_a_hunk_may_lie_as_far_aside_as_the_text_after_stays_the_same(folder: Path) -> None:
    for edit in readings(folder):
        ends = [0, *(hunk.a1 for hunk in edit.hunks)]
        starts = [*(hunk.a0 for hunk in edit.hunks[1:]), len(edit.pre.text)]
        for number, (hunk, (low, high)) in enumerate(zip(edit.hunks, edit.slides, strict=True)):
            assert low <= 0 <= high
            assert {moved(edit, number, by) for by in range(low, high + 1)} == {edit.post.text}
            left, right = hunk.a0 + low == ends[number], hunk.a1 + high == starts[number]
            assert left or edit.pre.text[hunk.a1 + low - 1] != edit.post.text[hunk.b1 + low - 1]
            assert right or edit.pre.text[hunk.a0 + high] != edit.post.text[hunk.b0 + high]


@pytest.mark.parametrize("folder", SOME, ids=lambda folder: folder.name)
def test_what_a_range_became(folder: Path) -> None:
    for edit in readings(folder):
        pre, post = edit.pre.text, edit.post.text
        for node in edit.pre.root.walk():
            found = edit.map_range(node.start, node.end)
            assert len({one.hunks for one in found}) == len(found), "each choice of hunks once"
            for one in found:
                for number, (hunk, (low, high)) in enumerate(zip(edit.hunks, edit.slides, strict=True)):
                    places = [(hunk.a0 + by, hunk.a1 + by) for by in range(low, high + 1)]
                    if number in one.hunks:
                        assert any(node.start <= a0 and a1 <= node.end for a0, a1 in places)
                    else:
                        assert any(a1 <= node.start or node.end <= a0 for a0, a1 in places)
                first = min(one.hunks, default=None)
                if not one.hunks:
                    assert post[one.start : one.end] == pre[node.start : node.end]
                    continue
                assert first is not None and one.hunks == {*range(first, max(one.hunks) + 1)}, "in a row"
                grown = sum((h.b1 - h.b0) - (h.a1 - h.a0) for i, h in enumerate(edit.hunks) if i in one.hunks)
                assert one.end - one.start == node.size + grown
                before = sum((h.b1 - h.b0) - (h.a1 - h.a0) for h in edit.hunks[:first])
                assert one.start == node.start + before
            sizes = [len(one.hunks) for one in found]
            assert not sizes or sizes[0] == max(sizes), "what holds most hunks comes first"


@pytest.mark.parametrize("folder", SOME, ids=lambda folder: folder.name)
def test_what_a_hunk_touches_takes_and_brings(folder: Path) -> None:
    for edit in readings(folder):
        for node in edit.pre.root.walk():
            inside = [h for h in edit.hunks if h.a0 < node.end and h.a1 > node.start]
            touched = any(h.a1 > h.a0 or h.a0 > node.start for h in inside)
            assert edit.touches(node.start, node.end) is touched
        for number, hunk in enumerate(edit.hunks):
            nodes = [n for n in edit.post.root.walk() if n.size and hunk.b0 <= n.start and n.end <= hunk.b1]
            assert [n for n in edit.inserted_nodes[number] if n.size] == nodes
            texts = {edit.post.text_of(n) for n in nodes if n.named and not n.is_comment}
            assert edit.inserted_texts(frozenset({number})) - {""} == texts - {""}
            assert edit.position_after(hunk.a1) == hunk.b1


def test_names_that_go_twice_are_those_that_the_code_binds_itself() -> None:
    edit = first("python", "x = [n for n in rows if n]\n", "x = 1\n")
    assert edit.repeated_removals(frozenset(range(len(edit.hunks)))) == {"n"}
    assert edit.repeated_removals(frozenset()) == frozenset()


def test_outside_of_what_a_diff_shows_more_may_change_than_did() -> None:
    pre, post = "f(1)\ng(2)\nf(3)\n", "h(1)\ng(2)\nf(3)\n"
    trees = Tree(pre, "python"), Tree(post, "python")
    strict, loose, shown = (
        next(variants(*trees, *how)) for how in ((), (False,), (False, ((pre.index("f(3)"), len(pre)),)))
    )
    there, changed = (pre.index("f(3)"), pre.index("f(3)") + 4), (0, 4)
    assert [edit.may_change(*there) for edit in (strict, loose, shown)] == [False, True, False]
    assert not any(edit.may_change(*changed) for edit in (strict, loose, shown)), "it did change there"
    assert shown.may_change(pre.index("g"), pre.index("f(3)")), "it ends where the shown lines begin"


@pytest.mark.parametrize(
    ("a", "b"), [("abcde", "axcye"), ("", "ab"), ("ab", ""), ("abab", "baba"), ("xaay", "xay"), ("ab", "ab")]
)
def test_blocks_say_what_is_equal_and_leave_nothing_out(a: str, b: str) -> None:
    at = (0, 0)
    for equal, i1, i2, j1, j2 in blocks(a, b):
        assert (i1, j1) == at and (i2 > i1 or j2 > j1)
        assert equal is (a[i1:i2] == b[j1:j2])
        at = i2, j2
    assert at == (len(a), len(b))


def test_names_that_share_words_are_a_change_each() -> None:
    pre = "x = <Sheet\n  tallRows\n  wideRows\n  otherThing\n/>;\n"
    post = "x = <Sheet\n  tallLines\n  wideLines\n  lastThing\n/>;\n"
    edit = first("tsx", pre, post)
    assert [pre[h.a0 : h.a1] for h in edit.hunks] == ["tallRows", "wideRows", "otherThing"]
    assert [post[h.b0 : h.b1] for h in edit.hunks] == ["tallLines", "wideLines", "lastThing"]


def test_of_children_in_another_order_those_stay_that_are_most_alike() -> None:
    come = "beta(rr, ss, tt, uu)\ngamma(vv, ww, xx, yy)"
    pre = "alpha(one, two, three, four, five)\nbeta(aa)\ngamma(cc)\n"
    post = f"{come}\nalpha(one, two, three, four, six)\n"
    edit = first("python", pre, post)
    texts = [(pre[h.a0 : h.a1].strip(), post[h.b0 : h.b1].strip()) for h in edit.hunks]
    assert ("five", "six") in texts
    assert ("", come) in texts


def test_what_follows_a_child_that_goes_is_compared_with_what_comes() -> None:
    pre, post = "go(a, b, c)\nstay(d, e, f)\n", "stay(d, e, g)\n"
    edit = first("python", pre, post)
    assert [(pre[h.a0 : h.a1], post[h.b0 : h.b1]) for h in edit.hunks] == [("go(a, b, c)\n", ""), ("f", "g")]
