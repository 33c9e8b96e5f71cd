"""Diffs as tools write them: names, colors, line ends, places without context."""

from __future__ import annotations

import base64
import difflib
import quopri
import subprocess
from pathlib import Path

import pytest

from rulewright.errors import UsageError
from rulewright.mining.by_hand import changeset, diffs
from rulewright.mining.by_hand.learn import learn

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


@pytest.mark.parametrize("options", [(), ("-U0",), ("-U1",)], ids=" ".join)
@pytest.mark.parametrize("tail", ["", "x = 1", "x = 1\n"])
def test_a_copied_diff_may_lack_its_last_line_end(repo: Path, tail: str, options: tuple[str, ...]) -> None:
    file = _committed(repo, "a.py", BEFORE + tail)
    file.write_text(AFTER + tail)
    diff = _git(repo, "diff", *options).removesuffix("\n")
    (change,), left = diffs.read(diff, diffs.below(repo))
    assert (change.pre, change.post, left) == (BEFORE + tail, AFTER + tail, [])


def test_python_writes_no_mark_for_a_missing_line_end(tmp_path: Path) -> None:
    before, after = (text.removesuffix("\n") for text in (BEFORE, AFTER))
    (tmp_path / "a.py").write_text(after)
    old, new = before.splitlines(True), after.splitlines(True)
    lines = difflib.unified_diff(old, new, "a/a.py", "b/a.py")
    (change,), _ = diffs.read("".join(lines), diffs.below(tmp_path))
    assert (change.pre, change.post) == (before, after)


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
    (change,) = changeset.read("-", (), diff=diff).changes
    assert change.post == AFTER
    with pytest.raises(UsageError) as failure:
        changeset.read("-", (), diff=diff.replace("inner", "outer"))
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
        found = changeset.read(like, (), staged=staged)
        (change,) = found.changes
        assert (change.path, change.pre) == (Path("b.py"), body)
        assert found.skipped == ("other.py: a new name",)


def test_an_empty_diff_is_no_file_before_the_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nothing.diff").write_text("")
    Path("a.py").write_text(BEFORE)
    found = changeset.read("nothing.diff", (Path("a.py"),))
    assert (found.changes, found.paths) == ((), (Path("a.py"),))


@pytest.mark.parametrize("saved", ["utf-16", "utf-16-be", "utf-8-sig", "quoted-printable", "base64"])
def test_a_diff_is_read_as_shells_and_mails_save_it(
    repo: Path, monkeypatch: pytest.MonkeyPatch, saved: str
) -> None:
    file = _committed(repo, "a.py", "# naïve\n" + BEFORE)
    file.write_text("# naïve\n" + AFTER)
    diff = _git(repo, "diff").encode()
    if saved.startswith("utf"):
        mark = "\ufeff" if saved == "utf-16-be" else ""
        raw = (mark + diff.decode()).encode(saved)
    else:
        coded = quopri.encodestring(diff) if saved == "quoted-printable" else base64.encodebytes(diff)
        head = f"From: A\nSubject: x\nMIME-Version: 1.0\nContent-Transfer-Encoding: {saved}\n\n"
        raw = f"From {'0' * 40} Mon Sep 17 00:00:00 2001\n{head}".encode() + coded
    (repo / "c.mbox").write_bytes(raw)
    monkeypatch.chdir(repo)
    (change,) = changeset.read("c.mbox", (Path("a.py"),)).changes
    assert (change.pre, change.post) == ("# naïve\n" + BEFORE, "# naïve\n" + AFTER)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("at", [0, 2], ids=["not made yet", "made"])
def test_patches_of_one_file_are_steps_of_one_change(repo: Path, newest_first: bool, at: int) -> None:
    texts = [BEFORE + "y = 1\n", AFTER + "y = 1\n", AFTER + "y = 2\n"]
    steps = []
    file = _committed(repo, "a.py", texts[0])
    for text in texts[1:]:
        file.write_text(text)
        steps.append(_git(repo, "diff"))
        _git(repo, "commit", "-qam", "step")
    file.write_text(texts[at])
    diff = "\n".join(reversed(steps) if newest_first else steps)
    (change,), left = diffs.read(diff, diffs.below(repo))
    assert (change.pre, change.post, change.now, left) == (texts[0], texts[2], texts[at], [])
    assert change.seen == {1, 3}


def test_what_is_no_code_is_named_and_bars_nothing(repo: Path) -> None:
    (repo / "old.png").write_bytes(b"\0" * 99)
    (repo / "to.py").symlink_to("a.py")
    (repo / "na me.py").write_text("x = 1\n" * 9)
    file = _committed(repo, "a.py", BEFORE)
    file.write_text(AFTER)
    (repo / "to.py").unlink()
    (repo / "to.py").symlink_to("b.py")
    (repo / "old.png").write_bytes(b"\1" * 99)
    _git(repo, "mv", "na me.py", "ümläut.py")
    _git(repo, "add", "-A")
    inner = "diff --git a/lib b/lib\nindex 1111111..2222222 160000\n--- a/lib\n+++ b/lib\n"
    inner += f"@@ -1 +1 @@\n-Subproject commit {'1' * 40}\n+Subproject commit {'2' * 40}\n"
    gone = "--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-x\n+y\n"
    stale = "--- a/ümläut.py\n+++ b/ümläut.py\n@@ -1 +1 @@\n-never\n+there\n"
    diff = _git(repo, "diff", "--cached", "-M") + inner + gone + stale
    (change,), left = diffs.read(diff, diffs.below(repo))
    assert change.path == file
    assert left == [
        "old.png: not a text file", "ümläut.py: a new name", "to.py: a link", "lib: a submodule",
        f"{repo / 'gone.py'}: named in the diff, but there is no such file",
        f"{repo / 'ümläut.py'}: the diff fits neither before nor after the change",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("diff --cc a.py\nindex 1,2..3\n--- a/a.py\n+++ b/a.py\n@@@ -1,1 -1,1 +1,1 @@@\n--x\n++y\n",
         "c.diff: the diff of a merge with all its parents", "HEAD^ HEAD"),
        ("*** o.py\t2024\n--- a.py\t2024\n***************\n*** 1 ****\n! x\n--- 1 ----\n! y\n",
         "c.diff: a context diff", "diff -u"),
        ("2c2\n<     if x == None:\n---\n>     if x is None:\n", "c.diff: a diff without the lines around",
         "diff -u"),
        ("```diff\n@@ -1 +1 @@\n-x\n+y\n```\n", "c.diff: names no file", "--- a/FILE"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n def f(x):\n-    if x == None:\n",
         "c.diff:5: the diff ends within a change", "to its last line"),
        ("commit 1\nMerge: 2 3\n\n    words only\n", "c.diff: no unified diff found", "diff -u"),
    ],
    ids=["merge", "context", "normal", "no name", "cut off", "a message alone"],
)  # fmt: skip
def test_a_text_that_is_another_diff_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(BEFORE)
    Path("c.diff").write_text(text)
    with pytest.raises(UsageError) as failure:
        changeset.read("c.diff", (Path("a.py"),))
    assert failure.value.message == says
    assert hint in failure.value.hint


def test_a_test_that_holds_a_diff_is_a_file_before_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = 'DIFF = """\n@@ -1 +1 @@\n"""\nx = y == None\n'
    Path("old.py").write_text(old)
    Path("new.py").write_text(old.replace("== None", "is None"))
    (change,) = changeset.read("old.py", (Path("new.py"),)).changes
    assert change.pre == old


@pytest.mark.parametrize("before_ends", [True, False])
def test_the_end_of_the_last_line_goes_into_no_rule(before_ends: bool) -> None:
    ends = ("\n", "") if before_ends else ("", "\n")
    pre, post = (f"import os\nx = os.{name}(){end}" for name, end in zip(("getcwdu", "getcwd"), ends))
    change = diffs.Change(Path("a.py"), "python", pre, post)
    [rule] = learn([change], 2.0).rules
    assert "\n" not in str(rule.rule["fix"])
