"""Diffs and pairs of files as the user gives them: both sides whole, and the lines that were seen."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from rulewright import difftext
from rulewright.errors import UsageError
from rulewright.mining.by_hand import changeset, diffs
from rulewright.mining.by_hand.diffs import Change


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unified(old: str, new: str, name: str = "x.py", context: int = 3) -> str:
    sides = old.splitlines(keepends=True), new.splitlines(keepends=True)
    made = difflib.unified_diff(*sides, f"a/{name}", f"b/{name}", n=context)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made
    )


def read(folder: Path, text: str, content: str, name: str = "x.py") -> Change:
    (folder / name).write_text(content, encoding="utf-8")
    [change], left = diffs.read(text, diffs.below(folder))
    assert not left
    return change


TEN = "".join(f"{n}\n" for n in range(1, 11))
CHANGES = [
    (TEN, TEN.replace("5\n", "five\n")),
    (TEN, TEN.replace("5\n", "")),
    (TEN, TEN.replace("5\n", "5\n5a\n5b\n")),
    (TEN, "0\n" + TEN),
    (TEN, TEN + "11\n"),
    (TEN, TEN.replace("1\n", "one\n", 1).replace("9\n", "nine\n")),
    # Only one of the sides, or neither, ends with a line end.
    (TEN, TEN[:-1]),
    (TEN[:-1], TEN),
    ("a\nb", "a\nc"),
    ("a\nb", "A\nb"),
    ("one\n\n\ntwo\n", "one\n\n\nthree\n"),
    # The same line stands elsewhere too, further up after the change.
    ("same\ny\nsame\ny\nother\ny\nsame\n", "n\n" * 4 + "same\ny\nsame\ny\nsame\ny\nsame\n"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
@pytest.mark.parametrize("context", [0, 1, 3])
@pytest.mark.parametrize("is_post", [False, True])
def test_both_sides_of_a_diff_are_told_from_the_file_on_either(
    tmp_path: Path, old: str, new: str, context: int, is_post: bool
) -> None:
    change = read(tmp_path, unified(old, new, context=context), new if is_post else old)
    assert (change.pre, change.post, change.now) == (old, new, new if is_post else old)


def lines_kept(old: str, new: str, context: int) -> set[int]:
    """The lines of the old text that a diff prints with a blank before them, by their numbers."""
    kept: set[int] = set()
    at = 0
    for line in unified(old, new, context=context).splitlines()[2:]:
        if line.startswith("@@"):
            at = int(line.split("-")[1].split(",")[0].split(" ")[0])
        elif not line.startswith(("+", "\\")):
            kept |= {at} if line.startswith(" ") else set()
            at += 1
    return kept


@pytest.mark.parametrize(("old", "new"), CHANGES[:6])
@pytest.mark.parametrize("context", [1, 3])
def test_the_lines_that_a_diff_shows_unchanged_were_seen(
    tmp_path: Path, old: str, new: str, context: int
) -> None:
    change = read(tmp_path, unified(old, new, context=context), old)
    assert change.seen == lines_kept(old, new, context)


@pytest.mark.parametrize(("old", "new"), CHANGES[:6])
def test_of_two_files_the_lines_are_seen_that_a_diff_would_show(here: Path, old: str, new: str) -> None:
    (here / "before.py").write_text(old)
    (here / "x.py").write_text(new)
    found = changeset.read("before.py", [Path("x.py")])
    assert found.changes[0].seen == lines_kept(old, new, 3)
    assert (found.changes[0].pre, found.changes[0].post) == (old, new)


def test_counts_of_one_may_be_left_out(tmp_path: Path) -> None:
    change = read(
        tmp_path, "--- a/x.py\n+++ b/x.py\n@@ -2 +2 @@\n-b\n+B\n@@ -4 +4 @@\n-d\n+D\n", "a\nb\nc\nd\n"
    )
    assert change.post == "a\nB\nc\nD\n"


@pytest.mark.parametrize(("start", "changed"), [(1, 0), (3, 1), (5, 2), (9, 2)])
def test_a_change_is_made_nearest_to_where_the_diff_says(tmp_path: Path, start: int, changed: int) -> None:
    lines = ["same\n", "x\n"] * 3
    change = read(
        tmp_path, f"--- a/x.py\n+++ b/x.py\n@@ -{start},1 +{start},1 @@\n-same\n+other\n", "".join(lines)
    )
    lines[2 * changed] = "other\n"
    assert change.post == "".join(lines)


def test_a_second_part_is_never_looked_for_before_the_first(tmp_path: Path) -> None:
    text = "--- a/x.py\n+++ b/x.py\n@@ -3 +3 @@\n-same\n+one\n@@ -1 +1 @@\n-same\n+two\n"
    assert read(tmp_path, text, "same\nx\nsame\ny\nsame\n").post == "same\nx\none\ny\ntwo\n"


def test_an_empty_line_without_its_blank_is_one_of_both_sides(tmp_path: Path) -> None:
    change = read(tmp_path, "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n a\n\n-b\n+B\n", "a\n\nb\n")
    assert change.post == "a\n\nB\n" and change.seen == {1, 2}


def test_windows_line_ends_of_the_file_are_no_difference(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(b"a\r\nb\r\n")
    [change], _ = diffs.read(unified("a\nb\n", "a\nc\n"), diffs.below(tmp_path))
    assert (change.pre, change.post) == ("a\nb\n", "a\nc\n")


def test_each_file_of_a_diff_is_a_change_or_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("a\n")
    (tmp_path / "y.py").write_text("c\n")
    (tmp_path / "note.xyz").write_text("a\n")
    new = "--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+a = 1\n"
    gone = "--- a/g.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a = 1\n"
    one, two, odd = unified("a\n", "b\n"), unified("c\n", "d\n", "y.py"), unified("a\n", "b\n", "note.xyz")
    changes, left = diffs.read(one + new + gone + odd + two, diffs.below(tmp_path))
    assert [(change.path.name, change.post) for change in changes] == [("x.py", "b\n"), ("y.py", "d\n")]
    assert left == [
        "n.py: a new file", "g.py: a file that went", f"{tmp_path}/note.xyz: of no language that we know",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "\n", "diff --git a/x b/y\nrename from x\n", "Binary files a and b differ\n"]
)
def test_a_diff_without_lines_is_a_change_of_nothing(tmp_path: Path, text: str) -> None:
    assert diffs.read(text, diffs.below(tmp_path)) == ([], [])


def test_a_missing_line_end_of_no_line_is_refused(tmp_path: Path) -> None:
    text = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b\n"
    with pytest.raises(UsageError, match="mine:4: no line of a unified diff"):
        diffs.read(text, diffs.below(tmp_path), "mine")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "named in the diff, but there is no such file"), ("q\n", "fits neither before nor after")],
)
def test_a_diff_that_does_not_fit_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "x.py").write_text(content)
    with pytest.raises(UsageError, match=says):
        diffs.read(unified("a\n", "b\n"), diffs.below(tmp_path))
    with pytest.raises(UsageError, match="mine: no unified diff found"):
        diffs.read("words\n", diffs.below(tmp_path), "mine")


@pytest.mark.parametrize(
    ("pre", "post", "old", "new"),
    [
        ("a\nb\nc\n", "a\nB\nC\nc\n", [2], [2, 3]),
        # Nothing stands on the one side: the lines beside it.
        ("a\nb\n", "a\nx\nb\n", [1, 2], [2]),
        ("a\nx\nb\n", "a\nb\n", [2], [1, 2]),
        ("a\n", "x\na\n", [0, 1], [1]),
    ],
)
def test_the_lines_of_a_side_that_differ(pre: str, post: str, old: list[int], new: list[int]) -> None:
    assert list(difftext.changed_lines(pre, post, old_side=True)) == old
    assert list(difftext.changed_lines(pre, post, old_side=False)) == new


def test_a_long_file_of_like_lines_is_compared_line_by_line_or_as_a_whole() -> None:
    old = ["def f(x):", "    return old(x)", "", ""] * 5000
    in_place = [line.replace("old", "new") for line in old]
    assert difftext.changed(old, in_place) == [(n, n + 1, n, n + 1) for n in range(1, len(old), 4)]
    longer = [more for line in old for more in ([line, "    here()"] if ":" in line else [line])]
    assert difftext.changed(old, longer) == [(1, len(old) - 3, 1, len(longer) - 3)]


def test_a_short_file_of_like_lines_is_searched_for_its_smallest_difference() -> None:
    old = ["a", "", "b", ""] * 5
    assert difftext.changed(old, [*old[:8], "new", *old[8:]]) == [(8, 8, 8, 9)]
    assert difftext.changed(["", "a", "", "a"], ["a", "", "a", ""]) == [(0, 0, 0, 1), (3, 4, 4, 4)]


@pytest.mark.parametrize(
    ("old", "new", "tried"),
    [
        ("a/src/x.py", "b/src/x.py", ["src/x.py", "b/src/x.py", "a/src/x.py"]),
        ("src/x.py.orig", "src/x.py", ["src/x.py", "x.py", "src/x.py.orig", "x.py.orig"]),
        ("x.py.orig", "x.py", ["x.py", "x.py.orig"]),
        # A folder that is called as git calls a side.
        ("i/x.py", "i/x.py", ["i/x.py", "x.py"]),
        ("i/x.py", "w/x.py", ["x.py", "w/x.py", "i/x.py"]),
        ("a/x.py", "a/x.py", ["x.py", "a/x.py"]),
    ],
)
def test_the_names_that_a_file_of_a_diff_may_have(old: str, new: str, tried: list[str]) -> None:
    asked: list[str] = []

    def locate(name: str) -> Path:
        asked.append(name)
        raise UsageError("not here", "")

    with pytest.raises(UsageError):
        diffs.read(f"--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n", locate)
    assert list(dict.fromkeys(asked)) == tried


def test_each_part_of_a_diff_is_seen_where_it_was_put(tmp_path: Path) -> None:
    many = "".join(f"x{n % 3}\n" for n in range(300))
    old = f"{many}same\nold\n{many}same\nodd\nend\n"
    new = old.replace("old\n", "new\n").replace("odd\n", "even\n")
    made = read(tmp_path, unified(old, new, context=999), new)
    assert made.pre == old and made.seen == frozenset(range(1, 606)) - {302, 604}


def test_equal_sides_and_other_places_to_look_at(here: Path) -> None:
    for name in ("old.py", "new.py"):
        (here / name).write_text("a\n", encoding="utf-8")
    found = changeset.read("old.py", [Path("new.py"), Path("lib")])
    assert found.changes == () and found.paths == (Path("lib"),)
    assert changeset.read("old.py", [Path("new.py")]).paths != ()


def test_a_file_is_looked_for_in_one_folder_after_another(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.py").write_text("x\n")
    locate = diffs.below(tmp_path / "a", tmp_path / "b")
    assert locate("x.py") == tmp_path / "b/x.py"
    with pytest.raises(UsageError) as told:
        locate("y.py")
    assert str(tmp_path / "a/y.py") in told.value.message
