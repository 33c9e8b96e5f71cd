"""Terminals without colors, dumb ones, narrow ones and pipes; nothing to do is no failure."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rulewright import cli

SGR = re.compile(r"\x1b\[[\d;]*m")
RULE = "id: r\nlanguage: python\nrule:\n  pattern: $A == None\nfix: $A is None\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "rule.yml").write_text(RULE)
    (tmp_path / "a.py").write_text("x == None\n")
    (tmp_path / "none.py").write_text("x = 1\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


def in_terminal(folder: Path, *words: str, **environment: str) -> str:
    """What a command shows in a real terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
        os.execve(sys.executable, [sys.executable, "-m", "rulewright", *words], {**kept, **environment})
    shown, end = b"", time.monotonic() + 120
    while time.monotonic() < end:
        try:
            piece = os.read(fd, 65536) if select.select([fd], [], [], 1.0)[0] else None
        except OSError:
            break
        if piece == b"":
            break
        shown += piece or b""
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 0
    return shown.decode()


LINES = ("apply rule.yml a.py", "check --help", "configs")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("environment", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_colors_where_none_are_wanted(here: Path, line: str, environment: dict[str, str]) -> None:
    shown = in_terminal(here, *line.split(), **environment)
    assert shown and not SGR.search(shown)
    if environment["TERM"] == "dumb":
        assert "\x1b" not in shown


def test_colors_on_a_terminal_that_has_them(here: Path) -> None:
    assert SGR.search(in_terminal(here, "apply", "rule.yml", "a.py", TERM="xterm"))
    assert SGR.search(in_terminal(here, "check", "--help", TERM="xterm"))


@pytest.mark.parametrize("line", ["--help", "check --help", "edit --help", "mcp --help", "configs", "doctor"])
def test_prose_fits_a_narrow_terminal(here: Path, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rulewright", *line.split()], cwd=here, capture_output=True, text=True,
        timeout=120, check=False, env={**os.environ, "COLUMNS": "60"},
    )  # fmt: skip
    known = {f"  rulewright {example}" for command in cli.COMMANDS.values() for example in command.examples}
    # Words that cannot be broken (a path, a flag) may stick out; lines of several words may not.
    wide = [
        one for one in done.stdout.splitlines() if len(one) > 60 and one not in known and len(one.split()) > 3
    ]
    assert done.stdout and not wide


@pytest.mark.parametrize("line", LINES)
def test_a_reader_that_goes_away_gets_no_traceback(here: Path, line: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rulewright", *line.split()],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(120)
    assert "Traceback" not in said and "Exception ignored" not in said


@pytest.mark.parametrize(
    "line",
    ["apply rule.yml none.py", "apply rule.yml none.py --write", "apply rule.yml folder", "check rule.yml",
     "check rule.yml --against folder", "configs", "verify rows.jsonl"],
)  # fmt: skip
def test_nothing_to_do_is_no_failure(
    here: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    (here / "rows.jsonl").write_text('{"id": "1"}\n')
    assert cli.main(line.split()) == 0


@pytest.mark.parametrize(
    "line", ["apply nowhere.yml a.py", "edit sentence nowhere.py", "edit sentence latin.py"]
)
def test_no_numbers_of_the_system_in_a_message(
    here: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    (here / "latin.py").write_bytes(b"x = '\xe9'\n")
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert "error: " in said and "hint: " in said and "Errno" not in said and "codec" not in said


def test_one_thing_is_not_called_several(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert cli.main(["apply", "rule.yml", "a.py"]) == 0
    (here / "breaks.yml").write_text(RULE.replace("$A is None", "($A"))
    assert cli.main(["apply", "breaks.yml", "a.py"]) == 1
    assert cli.main(["check", "rule.yml"]) == 0
    said = capsys.readouterr().err
    assert (
        "1 of 1 file would change, 1 place\n" in said
        and "1 syntax error," in said
        and "1 rule: 0 errors" in said
    )
    assert not re.search(r"\b1 \w+s\b", said.replace("syntax_error", ""))


@pytest.mark.parametrize("line", ["check .", "apply rule.yml x.py", "doctor", "configs", "--help"])
def test_output_that_finds_no_room_is_told_without_a_traceback(tmp_path: Path, line: str) -> None:
    rule = "id: r\nlanguage: python\nrule: {pattern: f($A)}\nfix: $B\n"
    (tmp_path / "rule.yml").write_text(rule if line == "check ." else rule.replace("$B", "g($A)"))
    (tmp_path / "x.py").write_text("f(1)\n")
    with Path("/dev/full").open("w") as full:
        argv = [sys.executable, "-m", "rulewright", *line.split()]
        done = subprocess.run(argv, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: cannot be written (No space left on device)")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("line", ["check rule.yml", "apply rule.yml .", "doctor", "mcp", "tour"])
def test_a_folder_that_is_gone_is_told(tmp_path: Path, line: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD" && exec "$0" -m rulewright "$@"'
    argv = ["sh", "-c", script, sys.executable, *line.split()]
    done = subprocess.run(
        argv, cwd=gone, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2, "error: the current folder no longer exists",
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_one_that_holds_nothing(here: Path, closed: str) -> None:
    # Without a shell in between, the streams could not be closed.
    line = f"{shlex.quote(sys.executable)} -m rulewright apply rule.yml a.py --write {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (here / "a.py").read_text() == "x is None\n"


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "rule.yml", "", "--write"), ("apply", "rule.yml", "--write", ""), ("check", "rule.yml", ""),
        ("apply", "rule.yml", "--write", "--"  , ""), ("check", "rule.yml", "--sarif", ""),
        ("check", "rule.yml", "--sarif="), ("edit", "--like", "HEAD", "--write", ""),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_word_is_not_the_folder_where_one_stands(
    here: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    assert cli.main([*words]) == 2
    assert "an empty argument, where a file or another value was expected" in capsys.readouterr().err
    assert (here / "a.py").read_text() == "x == None\n"
