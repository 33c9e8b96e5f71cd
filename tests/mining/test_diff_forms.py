"""Diffs as tools write them: names, colors, line ends, places without context."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rulewright.errors import UsageError
from rulewright.mining import diffs, given

BEFORE = "def f(x):\n    if x == None:\n        return 1\n"
AFTER = BEFORE.replace("== None", "is None")


def _git(repo: Path, *words: str) -> str:
    options = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "core.autocrlf=false"]
    done = subprocess.run(["git", *options, *words], cwd=repo, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-q")
    return tmp_path


def _committed(repo: Path, name: str, text: str) -> Path:
    file = repo / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    _git(repo, "add", "-A")
    _git(repo, "commit", "-qm", "first")
    return file


@pytest.mark.parametrize(
    "name", ["a.py", "umläut.py", "sp ace.py", 'q"uo\\te.py', "tab\tx.py", "a/b.py", "b/b.py"]
)
@pytest.mark.parametrize(
    "options",
    [
        (), ("--no-prefix",), ("-U0",), ("--color=always",), ("--src-prefix=c/", "--dst-prefix=i/"),
        ("--no-prefix", "-U0"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_name_of_git_is_found(repo: Path, name: str, options: tuple[str, ...]) -> None:
    file = _committed(repo, name, BEFORE)
    file.write_text(AFTER)
    (change,), left = diffs.read(_git(repo, "diff", *options), diffs.below(repo))
    assert (change.path, change.pre, change.post, left) == (file, BEFORE, AFTER, [])


@pytest.mark.parametrize(
    "text",
    [
        BEFORE.replace("\n", "\r\n"), "# one\x0c\n" + BEFORE, "# a\u2028b\x85c\n" + BEFORE, "\ufeff" + BEFORE,
        BEFORE.rstrip("\n"),
    ],
    ids=["crlf", "form feed", "line separator", "mark", "no last line end"],
)  # fmt: skip
def test_lines_end_where_git_ends_them(repo: Path, text: str) -> None:
    file = _committed(repo, "a.py", text)
    file.write_bytes(text.replace("== None", "is None").encode())
    (change,), _ = diffs.read(_git(repo, "diff"), diffs.below(repo))
    assert change.pre == text.replace("\r\n", "\n")
    assert change.post == change.pre.replace("== None", "is None")
    line = change.pre.split("\n").index("    if x == None:") + 1
    assert line - 1 in change.seen
    assert line not in change.seen


def test_a_diff_may_have_other_line_ends_than_its_files(repo: Path) -> None:
    file = _committed(repo, "a.py", BEFORE)
    file.write_text(AFTER)
    diff = _git(repo, "diff").replace("\n", "\r\n")
    (change,), _ = diffs.read(diff, diffs.below(repo))
    assert (change.pre, change.post) == (BEFORE, AFTER)


@pytest.mark.parametrize("is_post", [True, False], ids=["made", "not made yet"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc\nd\n", "a\nb\nc\nx\nd\n"),
        ("a\nb\nc\nd\n", "a\nc\nd\n"),
        ("x\na\nx\nb\nx\n", "x\na\nb\nx\n"),
        ("x\na\n", "x\nx\nx\na\n"),
        ("a\n", "x\na\n"),
    ],
    ids=["inserted", "deleted", "deleted, one of several alike", "inserted, alike", "inserted at the top"],
)
def test_lines_without_context_go_where_the_diff_says(repo: Path, old: str, new: str, is_post: bool) -> None:
    file = _committed(repo, "a.py", old)
    file.write_text(new)
    diff = _git(repo, "diff", "-U0")
    file.write_text(new if is_post else old)
    (change,), _ = diffs.read(diff, diffs.below(repo))
    assert (change.pre, change.post) == (old, new)


def test_what_came_and_went_is_named(repo: Path) -> None:
    _committed(repo, "gone.py", BEFORE)
    (repo / "gone.py").unlink()
    (repo / "new.py").write_text("x = 1\n")
    _git(repo, "add", "-A")
    changes, left = diffs.read(_git(repo, "diff", "--cached", "--no-renames"), diffs.below(repo))
    assert (changes, left) == ([], ["gone.py: a file that went", "new.py: a new file"])


def test_a_diff_of_git_is_read_anywhere_in_the_repository(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _committed(repo, "inner/a.py", BEFORE)
    file.write_text(AFTER)
    diff = _git(repo, "diff")
    monkeypatch.chdir(repo / "inner")
    (change,) = given.read("-", (), diff=diff).changes
    assert change.post == AFTER
    with pytest.raises(UsageError) as failure:
        given.read("-", (), diff=diff.replace("inner", "outer"))
    assert "where the names in the diff begin" in failure.value.hint


def test_a_file_with_a_new_name_is_one_change(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = BEFORE + "".join(f"x{i} = {i}\n" for i in range(20))
    _committed(repo, "a.py", body)
    _committed(repo, "same.py", body.replace("x", "y"))
    _git(repo, "mv", "a.py", "b.py")
    _git(repo, "mv", "same.py", "other.py")
    (repo / "b.py").write_text(body.replace("== None", "is None"))
    monkeypatch.chdir(repo)
    for like, staged in (("HEAD", False), ("", True)):
        if staged:
            _git(repo, "add", "-A")
        found = given.read(like, (), staged=staged)
        (change,) = found.changes
        assert (change.path, change.pre) == (Path("b.py"), body)
        assert found.left == ("other.py: a new name",)


def test_an_empty_diff_is_no_file_before_the_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nothing.diff").write_text("")
    Path("a.py").write_text(BEFORE)
    found = given.read("nothing.diff", (Path("a.py"),))
    assert (found.changes, found.paths) == ((), (Path("a.py"),))
