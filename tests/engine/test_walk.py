"""Which files a walk takes, which it names with a reason, and which it only counts."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from rulewright.actions.rule_file import Document, read_rule_file
from rulewright.engine import by_words, cli, listing, walk
from rulewright.errors import RulewrightError, UsageError

PYTHON = "id: p\nlanguage: Python\nrule: {pattern: old($A)}\nfix: new($A)\n"
GO = "id: g\nlanguage: Go\nrule: {pattern: old($A)}\nfix: new($A)\n"
CPP = "id: c\nlanguage: Cpp\nrule: {pattern: old($A)}\nfix: new($A)\n"


def documents(*texts: str) -> tuple[Document, ...]:
    found = read_rule_file("---\n".join(texts))
    assert isinstance(found, tuple)
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, *names: str, text: str = "old(1)\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def taken(found: walk.Walk) -> dict[str, tuple[int, ...]]:
    return {str(one.path): one.documents for one in found.files}


def test_each_file_has_the_rules_of_its_language(here: Path) -> None:
    put(here, "a/x.py", "a/y.go", "a/z.rb")
    found = walk.find([Path("a")], documents(PYTHON, GO, PYTHON))
    assert taken(found) == {"a/x.py": (0, 2), "a/y.go": (1,)}
    assert found.left_out() == []


def test_a_rule_that_is_off_takes_no_file(here: Path) -> None:
    put(here, "a/x.py", "a/y.go")
    assert taken(walk.find([Path("a")], documents(PYTHON + "severity: off\n", GO))) == {"a/y.go": (1,)}
    assert walk.find([Path("a")], documents(PYTHON + "severity: off\n")) == walk.Walk()


def test_an_empty_list_of_files_is_for_none(here: Path) -> None:
    put(here, "a/x.py", "y.py")
    for paths in ([Path()], [Path("y.py")]):
        found = walk.find(paths, documents(PYTHON + "files: []\n"))
        assert taken(found) == {}
        assert found.out_of_scope == 2 - (paths == [Path("y.py")])
    assert len(taken(walk.find([Path()], documents(PYTHON + "files:\nignores: []\n")))) == 2


def test_a_file_says_whether_a_rule_may_match_in_it(here: Path) -> None:
    put(here, "a/x.py")
    put(here, "a/y.py", text="fresh(1)\n")
    found = walk.find([Path("a")], documents(PYTHON))
    assert {str(one.path): one.may_match for one in found.files} == {"a/x.py": True, "a/y.py": False}


def test_a_file_that_is_named_is_taken_whatever_it_is_called(here: Path) -> None:
    put(here, "script", "code.h", "code.c")
    found = walk.find([Path("script")], documents(PYTHON, GO))
    assert taken(found) == {"script": (0,)} and found.files[0].may_match
    with pytest.raises(UsageError, match="script"):
        walk.find([Path("script")], documents(PYTHON), strict=True)
    assert taken(walk.find([Path("code.c")], documents(CPP))) == {"code.c": (0,)}
    scoped = documents(PYTHON + 'files: ["a/**"]\n')
    with pytest.raises(UsageError):
        walk.find([Path("script")], scoped)


def test_of_a_list_of_files_only_source_is_taken_and_scripts_by_their_first_line(here: Path) -> None:
    others = ["README.md", "style.css", "Makefile", "note.txt"]
    put(here, "x.py", *others)
    put(here, "tool", text="#!/usr/bin/env -S python3.12 -u\nold(1)\n")
    put(here, "serve", text="#!/usr/bin/node\nold(1)\n")
    found = walk.find([Path(name) for name in ["x.py", "tool", "serve", *others]], documents(GO, PYTHON))
    assert taken(found) == {"tool": (1,), "x.py": (1,)}
    why = "is of no language that we know, the rule is for go and python"
    assert dict(found.named) == {Path(name): why for name in ["serve", *others]}
    with pytest.raises(UsageError, match=r"README\.md: is of no language that we know"):
        walk.find([Path("README.md")], documents(PYTHON))


@pytest.mark.parametrize(("n_blank", "taken"), [(183, True), (184, False)])
def test_a_script_names_its_interpreter_within_200_bytes(here: Path, n_blank: int, taken: bool) -> None:
    put(here, "x.py")
    put(here, "tool", text=f"#!/usr/bin{' ' * n_blank}/python\nold(1)\n")
    found = walk.find([Path("x.py"), Path("tool")], documents(PYTHON))
    assert (Path("tool") in {one.path for one in found.files}) is taken


SCRIPT = "id: s\nlanguage: JavaScript\nrule: {pattern: old($A)}\nfix: new($A)\n"
PAGE = "<html><body><p>{old(1)}</p>\n<script>\nold(1);\n</script></body></html>\n"


@pytest.mark.parametrize("paths", [["a"], ["a/page.html"], ["a/page.html", "a/x.js"]])
def test_code_inside_another_language_is_named_and_never_read_as_the_whole_file(
    here: Path, paths: list[str]
) -> None:
    put(here, "a/page.html", text=PAGE)
    put(here, "a/none.html", text="<html><body><p>{old(1)}</p></body></html>\n")
    put(here, "a/x.js")
    found = walk.find([Path(path) for path in paths], documents(SCRIPT))
    assert taken(found) == ({"a/x.js": (0,)} if paths != ["a/page.html"] else {})
    assert found.named == [
        (Path("a/page.html"), "code within another language")
    ]  # fmt: skip


def test_an_empty_file_is_not_taken(here: Path) -> None:
    put(here, "script", "x.py", text="")
    put(here, "y.py")
    found = walk.find([Path("script"), Path("x.py"), Path("y.py")], documents(PYTHON))
    assert taken(found) == {"y.py": (0,)} and found.named == []


def test_a_file_of_another_language_is_named_and_alone_refused(here: Path) -> None:
    put(here, "x.py", "y.go")
    found = walk.find([Path("x.py"), Path("y.go")], documents(PYTHON))
    assert found.named == [(Path("y.go"), "is go, the rule is for python")]
    with pytest.raises(UsageError, match=r"y\.go: is go, the rule is for cpp and python"):
        walk.find([Path("y.go")], documents(PYTHON, CPP))


def test_one_file_by_two_names_is_taken_once(here: Path) -> None:
    put(here, "a/x.py")
    (here / "b").symlink_to("a")
    found = walk.find([Path("a"), Path("./a/x.py"), Path("b")], documents(PYTHON))
    assert len(found.files) == 1


def test_what_is_left_out_is_counted(here: Path) -> None:
    put(here, "a/x.py", "a/.d/x.py", "a/.d/y.py", "a/.d/z.go", "a/made/m.py", "a/made/n.py", "a/other.txt")
    put(here, "a/made/empty.py", text="")
    put(here, "a/.ignore", text="made/\n")
    found = walk.find([Path("a")], documents(PYTHON))
    assert (found.hidden, found.ignored, found.out_of_scope, found.at_least) == (2, 2, 0, False)
    assert found.left_out() == [
        "2 files that an ignore file names (.gitignore, .ignore)", "2 files hidden",
    ]  # fmt: skip
    twice = walk.find([Path(), Path("a")], documents(PYTHON))
    assert twice.left_out() == found.left_out()
    scoped = walk.find([Path("a")], documents(PYTHON + 'files: ["nowhere/**"]\n'))
    assert (taken(scoped), scoped.out_of_scope) == ({}, 1)
    assert "1 file outside the `files` and `ignores` of the rules" in scoped.left_out()


@pytest.mark.parametrize(("most", "at_least"), [(4, False), (3, True)])
def test_counting_ends_at_a_bound(
    here: Path, monkeypatch: pytest.MonkeyPatch, most: int, at_least: bool
) -> None:
    monkeypatch.setattr(walk, "MAX_ENTRIES", most)
    put(here, "a/.d/b.py", "a/.d/c.py", "a/.d/d.py", "a/x.py")
    found = walk.find([Path("a")], documents(PYTHON))
    assert found.at_least is at_least
    assert found.left_out() == ["at least 2 files hidden" if at_least else "3 files hidden"]


def test_paths_that_are_not_there(here: Path) -> None:
    (here / "gone.py").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"x\.py: no such file or folder"):
        walk.find([Path("x.py")], documents(PYTHON))
    with pytest.raises(UsageError, match=r"gone\.py: a link to nowhere"):
        walk.find([Path("gone.py")], documents(PYTHON))


def test_globs_hold_from_the_folder_of_the_rule_file(here: Path) -> None:
    put(here, "a/x.py", "b/a/y.py", "b/z.py")
    scoped = documents(PYTHON + 'files: ["a/*"]\n')
    assert taken(walk.find([Path(), Path("b")], scoped, base=here)) == {"a/x.py": (0,)}
    assert taken(walk.find([Path("b")], scoped, base=here / "b")) == {"b/a/y.py": (0,)}


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        ("echo 'Error: it' >&2; echo '╰▻ a glob' >&2; exit 5", RulewrightError, "cannot walk here: a glob\n"),
        ("exit 5", RulewrightError, "cannot walk here: exit 5\n"),
        ("echo 'thread panicked at x' >&2; exit 0", RulewrightError, "panicked, and whatever the rule"),
        ("kill -SEGV $$", RulewrightError, "panicked, and whatever the rule"),
        ("exit 101", RulewrightError, "panicked, and whatever the rule"),
    ],
)  # fmt: skip
def test_a_walk_that_fails_says_why(
    here: Path, monkeypatch: pytest.MonkeyPatch, script: str, kind: type[Exception], says: str
) -> None:
    put(here, "x.py")
    (here / "ast-grep").write_text(f"#!/bin/sh\n{script}\n")
    (here / "ast-grep").chmod(0o755)
    monkeypatch.setattr(cli, "binary", lambda: str(here / "ast-grep"))
    with pytest.raises(kind, match=says):
        walk.find([Path("x.py")], documents(PYTHON))


def test_a_rule_that_breaks_ast_grep_down_leaves_every_file_to_be_tried(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here, "x.py", text="fresh(1)\n")
    real = cli.binary()
    (here / "ast-grep").write_text(f'#!/bin/sh\ngrep -q old $3 && exit 101\nexec {real} "$@"\n')
    (here / "ast-grep").chmod(0o755)
    monkeypatch.setattr(cli, "binary", lambda: str(here / "ast-grep"))
    (found,) = walk.find([Path("x.py")], documents(PYTHON)).files
    assert found.may_match


def test_names_that_cannot_be_told_on_a_line_are_named_and_never_break_the_walk(here: Path) -> None:
    put(here, "a/x.py", "a/one\nline.py", "a/re\rturn.py")
    odd = Path(os.fsdecode(b"a/caf\xe9.py"))
    odd.write_text("old(1)\n")
    found = walk.find([Path("a")], documents(PYTHON))
    assert taken(found) == {"a/re\rturn.py": (0,), "a/x.py": (0,)}
    assert found.left_out() == [
        "a/caf\ufffd.py: a name that is not UTF-8 text", "a/one\\nline.py: a line break in its name",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="a name that is not UTF-8 text") as caught:
        walk.find([odd], documents(PYTHON))
    assert "name its folder" in caught.value.hint
    assert taken(walk.find([Path("a/one\nline.py")], documents(PYTHON))) == {"a/one\nline.py": (0,)}


def test_a_file_that_ast_grep_does_not_take_is_named_once_with_its_reason(here: Path) -> None:
    put(here, "a/x.py", "big.PY")
    (here / "old.py").write_bytes(b"s = '\xe9'\nold(1)\n")
    found = walk.find([Path("old.py"), Path("a")], documents(PYTHON))
    assert (taken(found), found.named) == ({"a/x.py": (0,)}, [(Path("old.py"), "not UTF-8 text")])
    assert walk.find([Path()], documents(PYTHON)).ignored == 0
    named = walk.find([Path("big.PY"), Path("a")], documents(PYTHON), strict=True).named
    assert named == [(Path("big.PY"), "ast-grep takes no `.PY` for python")]


TREE = {
    "x.py": "old(1)\n", "plain.py": "fresh(1)\n", "empty.py": "", ".hidden.py": "old(1)\n",
    "made/m.py": "old(1)\n", "made/.m.py": "old(1)\n", "deep/.n.py": "old(1)\n", "deep/a: b.py": "old(1)\n",
    ".d/x.py": "old(1)\n", ".d/.y.py": "old(1)\n", ".d/e/.z.py": "old(1)\n", "UPPER.PY": "old(1)\n",
    ".open/o.py": "old(1)\n", "line\nbreak.py": "old(1)\n", "page.html": "<script>old(1)</script>\n",
    "y.js": "old(1)\n", "z.go": "old(1)\n", "deep/note.txt": "old(1)\n", ".ignore": "made/\n!.open/\n",
}  # fmt: skip
JAVASCRIPT = PYTHON.replace("Python", "JavaScript")


@pytest.mark.parametrize(
    "roots", [["."], ["deep", "."], [".d"], [".d", "x.py", ".open"], ["y.js", "z.go", "x.py"]]
)
@pytest.mark.parametrize(
    "text", [PYTHON, GO, JAVASCRIPT, f"{PYTHON}---\n{GO}", PYTHON + "ignores: ['deep/**']\n"]
)
@pytest.mark.parametrize("without", [(), (".open/o.py",), ("page.html", ".d/x.py")])
def test_a_walk_that_parses_nothing_is_the_same_walk(
    here: Path, roots: list[str], text: str, without: tuple[str, ...]
) -> None:
    for name, content in TREE.items():
        if name not in without:
            put(here, name, text=content)
    (here / "deep" / "link.py").symlink_to("../x.py")
    (here / "latin.py").write_bytes(b"old('\xe4')\n")
    (here / os.fsdecode(b"deep/n\xe4me.py")).write_text("old(1)\n")
    rules = documents(*text.split("---\n"))
    paths = [Path(root) for root in roots]
    try:
        scanned = walk.find(paths, rules)
    except UsageError:
        with pytest.raises(UsageError):
            walk.find(paths, rules, judged=True)
        return
    judged = walk.find(paths, rules, judged=True)
    assert {one.path for one in scanned.files if one.may_match} <= {
        one.path for one in judged.files if one.may_match
    }
    assert not {one.path.name for one in judged.files if one.may_match} & {"plain.py"}
    for one in (scanned, judged):
        one.files = [dataclasses.replace(file, may_match=True) for file in one.files]
        one.named.sort()
    assert judged == scanned


def test_words_tell_where_files_are_judged_anyway(here: Path) -> None:
    put(here, "a/x.py")
    put(here, "a/y.py", text="older = old\n")
    put(here, "a/z.py", text="fresh(1)\n")
    for judged in (False, True):
        found = walk.find([Path("a")], documents(PYTHON), judged=judged)
        assert [one.may_match for one in found.files] == [True, judged, False]
    assert walk.find([Path("a")], documents(PYTHON)) == walk.find(
        [Path("a")], documents(PYTHON), judged=False
    )


def test_words_that_are_common_and_seldom_match_leave_it_to_the_scan(here: Path) -> None:
    put(here, *(f"a/{n}.py" for n in range(60)), text="older = old\n")
    put(here, "a/x.py")
    found = walk.find([Path("a")], documents(PYTHON), judged=True)
    assert [str(one.path) for one in found.files if one.may_match] == ["a/x.py"]
    put(here, *(f"a/{n}.py" for n in range(40)), text="old(1)\n")
    found = walk.find([Path("a")], documents(PYTHON), judged=True)
    assert all(one.may_match for one in found.files)


@pytest.mark.parametrize(
    ("n_words", "n_matches", "n_others", "listed"),
    [
        (32, 0, 0, True), (33, 0, 0, False),  # so few are judged whatever they hold
        (50, 0, 150, True), (51, 0, 149, False),  # a quarter of the files
        (30, 10, 0, True), (31, 9, 0, False),  # a quarter of those that hold the words match
    ],
)  # fmt: skip
def test_words_list_the_files_where_they_are_rare_or_tell_enough(
    here: Path, n_words: int, n_matches: int, n_others: int, listed: bool
) -> None:
    put(here, *(f"a/w{n:03}.py" for n in range(n_words)), text="older = old\n")
    put(here, *(f"a/x{n:03}.py" for n in range(n_matches)), text="old(1)\n")
    put(here, *(f"a/y{n:03}.py" for n in range(n_others)), text="fresh(1)\n")
    found = by_words.listing([Path("a")], [("python", {"rule": {"pattern": "old($A)"}})])
    assert (found is not None) is listed
    assert found is None or len(found.matched) == n_words + n_matches


@pytest.mark.parametrize(
    ("n_bytes", "n_lines", "taken"),
    [(3_000_001, 200_001, False), (3_000_000, 200_001, True), (3_000_001, 200_000, True)],
)
def test_files_too_large_for_ast_grep_are_named_without_being_parsed(
    here: Path, n_bytes: int, n_lines: int, taken: bool
) -> None:
    text = "old(1)\n" + "\n" * (n_lines - 1)
    put(here, "a/x.py", text=text + "#" * (n_bytes - len(text)))
    found = by_words.listing([Path("a")], [("python", {"rule": {"pattern": "old($A)"}})])
    assert found is not None
    assert (found.skipped, len(found.matched)) == ({} if taken else {Path("a/x.py"): "fileTooLarge"}, taken)


@pytest.mark.parametrize("key", ["languageGlobs: {python: ['*.pyx']}", "ruleDirs: []", "ruleDirs: ["])
def test_a_project_may_give_files_another_language(here: Path, key: str) -> None:
    put(here, "sgconfig.yml", text=f"{key}\n")
    put(here, "a/x.pyx", "a/y.py")
    put(here, "a/z.py", text="fresh(1)\n")
    try:
        scanned = walk.find([Path("a")], documents(PYTHON))
    except RulewrightError as error:
        with pytest.raises(RulewrightError, match="cannot walk here"):
            walk.find([Path("a")], documents(PYTHON), judged=True)
        assert "cannot walk here" in error.message
    else:
        assert walk.find([Path("a")], documents(PYTHON), judged=True) == scanned


def test_code_within_another_language_is_named(here: Path) -> None:
    put(here, "page.html", text="<script>old(1)</script>\n")
    put(here, "other.html", text="<script>fresh(1)</script>\n")
    put(here, "y.js")
    for judged in (False, True):
        found = walk.find([Path()], documents(JAVASCRIPT), judged=judged)
        assert taken(found) == {"y.js": (0,)}
        assert found.named == [(Path("page.html"), "code within another language")]


def test_more_paths_than_a_command_line_holds(here: Path) -> None:
    deep = Path(*["d" * 250] * 15)
    put(here, *(f"{deep}/{n}.py" for n in range(600)))
    put(here, "last.py")
    paths = [deep / f"{n}.py" for n in range(600)] + [Path("last.py")]  # 2.3 MB
    assert len(walk.find(paths, documents(PYTHON)).files) == len(paths)
    found = listing.scan(paths, [("python", {"rule": {"pattern": "old($A)"}})])
    assert found.matched == set(found.files) == set(paths)
