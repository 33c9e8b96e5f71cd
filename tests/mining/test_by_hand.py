"""A change made by hand: what is learnt, offered and written, and what a person's own lines say."""

from __future__ import annotations

import difflib
import json
import subprocess
from pathlib import Path

import pytest

from rulewright import cli


def change(folder: Path, name: str, pre: str, post: str, context: int = 3) -> None:
    """Write a file as it is after a change, and add the change to `hand.diff`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(post, encoding="utf-8")
    old, new = pre.splitlines(keepends=True), post.splitlines(keepends=True)
    with (folder / "hand.diff").open("a", encoding="utf-8") as stream:
        stream.writelines(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


CWD = ("a = os.getcwdu()\n", "a = os.getcwd()\n")


def test_links_and_bytes_that_are_no_text_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(here, "src/a.py", *CWD)
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    (here / "src/gone.py").symlink_to("nowhere.py")
    (here / "src/old.py").write_bytes(b"# \xe9\nb = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    said = capsys.readouterr().err
    assert "src/old.py: not UTF-8" in said and "src/gone.py: a link" in said
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"


@pytest.mark.parametrize("command", [["edit", "--like"], ["mine", "--from-diff"]])
def test_ignored_and_hidden_files_are_left_out(here: Path, command: list[str]) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    change(here, "src/a.py", *CWD)
    (here / ".gitignore").write_text("made/\n")
    for folder in ("vendor", "made", ".hid"):
        (here / folder).mkdir()
        (here / folder / "f.py").write_text(CWD[0])
    assert cli.main([*command, "hand.diff", ".", "--write"]) == 0
    texts = {folder: (here / folder / "f.py").read_text() for folder in ("vendor", "made", ".hid")}
    assert texts == {"vendor": CWD[1], "made": CWD[0], ".hid": CWD[0]}


def test_the_rule_is_saved(here: Path) -> None:
    change(here, "src/a.py", *CWD)
    assert cli.main(["edit", "--like", "hand.diff", "src", "--save", "kept.yml"]) == 0
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    assert cli.main(["apply", "kept.yml", "src/b.py", "--write"]) == 0
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"


LOSSY = (
    "class A {\n    @interface K {\n        public String a();\n        public int[] b();\n    }\n}\n",
    "class A {\n    @interface K {\n        String a();\n        int[] b();\n    }\n}\n",
)


def test_a_rule_that_is_not_trusted_writes_nothing_unseen(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "src/A.java", *LOSSY)
    other = "class B {\n    public int size() { return 1; }\n    public B() {}\n}\n"
    (here / "src/B.java").write_text(other)
    cli.main(["edit", "--like", "hand.diff", "src", "--write"])
    assert (here / "src/B.java").read_text() == other


def test_a_literal_rule_lists_candidates_that_can_be_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(here, "a.py", "limit = 5\n", "limit = 50\n")
    (here / "b.py").write_text("x = 1\nlimit = 5\n")
    arguments = ["edit", "--like", "hand.diff", "b.py", "--json"]
    code = cli.main([*arguments, "--write"])
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    if last["tier"] == "train" or not rows:
        pytest.skip("the miner trusts this rule, or keeps it to its own file")
    assert code == 1 and not last["written"] and (here / "b.py").read_text() == "x = 1\nlimit = 5\n"
    assert [row["sure"] for row in rows] == [False]
    assert cli.main([*arguments, "--write", "--only", "b.py:2"]) == 0
    assert (here / "b.py").read_text() == "x = 1\nlimit = 50\n"


def test_a_line_that_the_diff_shows_unchanged_stays(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pre = "class P:\n    def stop(self):\n        self.pump.stop()\n\n    def f(self):\n        self.stop()\n"
    post = pre.replace("def stop(self)", "def halt(self)").replace(
        "        self.stop()", "        self.halt()"
    )
    change(here, "py/pipe.py", pre, post)
    cli.main(["edit", "--like", "hand.diff", "py", "--write"])
    assert "pipe.py:3" not in capsys.readouterr().out
    assert (here / "py/pipe.py").read_text() == post


def test_places_that_were_left_in_a_changed_file_are_possible_ones(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "a = os.getcwdu()\n" + "pass\n" * 9 + "b = os.getcwdu() + c\n"
    change(here, "one.py", pre, pre.replace("getcwdu()\npass", "getcwd()\npass"))
    (here / "two.py").write_text("d = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "one.py", "two.py", "--json", "--write"]) == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["path"], row["line"], row["sure"]) for row in rows] == [
        ("one.py", 11, False),
        ("two.py", 1, True),
    ]
    assert last["written"] == ["two.py"]


def test_many_places_that_were_left_tell_against_a_rule(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pre = "a = os.getcwdu()\n" + "pass\n" * 9 + "b = os.getcwdu() + c\n" * 6
    change(here, "one.py", pre, pre.replace("getcwdu()\npass", "getcwd()\npass"))
    (here / "two.py").write_text("d = os.getcwdu()\n")
    assert cli.main(["edit", "--like", "hand.diff", "two.py", "--write"]) == 1
    assert "hold 6 more places like the 1 that you changed" in capsys.readouterr().err
    assert "getcwdu" in (here / "two.py").read_text()


def test_two_files_of_two_languages_give_a_rule_each(here: Path) -> None:
    change(here, "a.py", *CWD)
    change(here, "a.js", "const a = fs.existsync(b)\n", "const a = fs.existsSync(b)\n")
    (here / "src").mkdir()
    (here / "src/b.py").write_text("b = os.getcwdu()\n")
    (here / "src/b.js").write_text("let c = fs.existsync(d)\n")
    assert cli.main(["edit", "--like", "hand.diff", "src", "--write"]) == 0
    assert (here / "src/b.py").read_text() == "b = os.getcwd()\n"
    assert (here / "src/b.js").read_text() == "let c = fs.existsSync(d)\n"


def test_asking_and_a_diff_on_stdin_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edit", "--like", "-", ".", "--interactive"]) == 2
    assert "--interactive" in capsys.readouterr().err
