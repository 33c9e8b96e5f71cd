"""A change in a repository that is not a plain clone: no commits, cut off, with modules, in parts, linked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rulewright.cli import main
from rulewright.errors import UsageError
from rulewright.mining.by_hand import changeset, diffs

BEFORE = "def f(x):\n    return x == None\n"
AFTER = BEFORE.replace("== None", "is None")


def _git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *options, *words], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode()


def _repository(folder: Path, *texts: str) -> Path:
    """A repository whose commits give one file these texts."""
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    for text in texts:
        (folder / "a.py").write_text(text)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-qm", "next")
    return folder


def _told(like: str) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        changeset.read(like, ())
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("like", ["HEAD", "main"])
def test_without_a_commit_nothing_tells_what_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, like: str
) -> None:
    monkeypatch.chdir(_repository(tmp_path / "r"))
    (tmp_path / "r/a.py").write_text(AFTER)
    said, hint = _told(like)
    assert "no commit here yet" in said and "commit what was before the change" in hint


@pytest.mark.parametrize("texts", [(), (BEFORE, AFTER)])
@pytest.mark.parametrize("like", ["changes.diff", "../changes.patch"])
def test_a_diff_that_is_not_there_is_told_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], like: str
) -> None:
    monkeypatch.chdir(_repository(tmp_path / "r", *texts))
    assert _told(like) == (f"{like}: no such file", "check the path")


@pytest.mark.parametrize("like", ["HEAD", "main", "HEAD~1..HEAD"])
def test_a_bare_repository_is_told_as_one_that_has_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, like: str
) -> None:
    _repository(tmp_path / "r", BEFORE, AFTER)
    _git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "r"), "bare")
    monkeypatch.chdir(tmp_path / "bare")
    said, hint = _told(like)
    assert said == f"{tmp_path / 'bare'}: a bare git repository, which has no files"
    assert "git worktree add" in hint
    with pytest.raises(UsageError, match="bare"):
        changeset.read("", (), staged=True)


@pytest.mark.parametrize("like", ["HEAD", "HEAD~1", "HEAD~1..HEAD"])
def test_a_shallow_clone_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, like: str
) -> None:
    _repository(tmp_path / "r", BEFORE, AFTER)
    _git(tmp_path, "clone", "-q", "--depth", "1", f"file://{tmp_path / 'r'}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert "git fetch --unshallow" in _told(like)[1]
    monkeypatch.chdir(tmp_path / "r")
    assert [change.post for change in changeset.read("HEAD", ()).changes] == [AFTER]
    first = changeset.read("HEAD~1", ())
    assert first.skipped == ("a.py: a new file",), "a first commit has nothing before it, and is no cut"


def test_a_change_within_a_submodule_is_learned_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _repository(tmp_path / "r", BEFORE)
    _git(_repository(tmp_path / "top", "x = 1\n"), "submodule", "add", "-q", str(tmp_path / "r"), "lib/r")
    _git(tmp_path / "top", "commit", "-qm", "with a module")
    (tmp_path / "top/lib/r/a.py").write_text(AFTER)
    monkeypatch.chdir(tmp_path / "top")
    found = changeset.read("HEAD", ())
    assert not found.changes
    assert [line for line in found.skipped if "lib/r" in line] == [
        "lib/r: a submodule: learn from its own changes there, `cd lib/r`"
    ]
    monkeypatch.chdir(tmp_path / "top/lib/r")
    assert [change.post for change in changeset.read("HEAD", ()).changes] == [AFTER]


def test_work_trees_sparse_ones_and_merges_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _repository(tmp_path / "r", BEFORE)
    (root / "deep").mkdir()
    (root / "deep/b.py").write_text(BEFORE)
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "deep")
    _git(root, "worktree", "add", "-q", "-b", "side", "../tree")
    monkeypatch.chdir(tmp_path / "tree")
    _git(tmp_path / "tree", "sparse-checkout", "set", "--no-cone", "/a.py")
    Path("a.py").write_text(AFTER)
    assert [str(change.path) for change in changeset.read("HEAD", ()).changes] == ["a.py"]
    _git(tmp_path / "tree", "commit", "-qam", "on the side")
    (root / "note.txt").write_text("x")
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "note")
    _git(root, "merge", "-q", "--no-ff", "-m", "merge", "side")
    monkeypatch.chdir(root)
    assert [change.post for change in changeset.read("HEAD", ()).changes] == [AFTER]


@pytest.mark.parametrize("option", ["--word-diff", "--color-words"])
def test_a_diff_of_words_is_told_as_that(tmp_path: Path, option: str) -> None:
    root = _repository(tmp_path / "r", BEFORE)
    (root / "a.py").write_text(AFTER)
    with pytest.raises(UsageError, match=r"mine\.diff:6: no line of a unified diff") as caught:
        diffs.read(_git(root, "diff", option), diffs.below(root), "mine.diff")
    assert "--word-diff" in caught.value.hint


def test_renames_copies_modes_and_bytes_beside_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _repository(tmp_path / "r", BEFORE + "\n\ndef g():\n    return 1\n")
    for name in ("moved.py", "mode.py"):
        (root / name).write_text(
            (root / "a.py").read_text() + f"\n\ndef {name[:2]}():\n    return {name!r}\n"
        )
    (root / "gone.py").write_text("y = 2\n")
    (root / "data.bin").write_bytes(bytes(range(256)))
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "more")
    for name in ("a.py", "moved.py", "mode.py"):
        (root / name).write_text((root / name).read_text().replace("== None", "is None"))
    (root / "mode.py").chmod(0o755)
    (root / "data.bin").write_bytes(bytes(256))
    _git(root, "mv", "moved.py", "other.py")
    _git(root, "rm", "-q", "gone.py")
    _git(root, "add", "-A")
    monkeypatch.chdir(root)
    for option in ("", "--binary", "--full-index", "-W"):
        words = ["diff", "--cached", *filter(None, [option])]
        changes, left = diffs.read(_git(root, *words), diffs.below(Path()), "it")
        assert sorted(str(change.path) for change in changes) == ["a.py", "mode.py", "other.py"]
        assert left == ["data.bin: not a text file", "gone.py: a file that went"]
    assert {str(change.path) for change in changeset.read("HEAD", ()).changes} == {
        "a.py",
        "mode.py",
        "other.py",
    }


def test_a_repository_that_went_on_is_another_input_of_a_mining_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, out = _repository(tmp_path / "r", BEFORE, AFTER), tmp_path / "run"
    command = ["eval", "mining", str(repository), "--out", str(out)]
    assert main(command) == 0
    (repository / "a.py").write_text(AFTER.replace("None", "..."))
    _git(repository, "commit", "-qam", "next")
    assert main(command) == 2
    assert "these inputs have changed" in capsys.readouterr().err
