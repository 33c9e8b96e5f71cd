"""What is printed."""

from __future__ import annotations

import io
import sys

import pytest

from rulewright import console
from rulewright.errors import RulewrightError


def test_errors_have_message_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    console.error(RulewrightError("a.jsonl:3: bad\nb: worse", "mend it"))
    assert capsys.readouterr().err == "error: a.jsonl:3: bad\nerror: b: worse\nhint: mend it\n"


def test_progress_without_a_terminal_says_every_5_percent(capsys: pytest.CaptureFixture[str]) -> None:
    bar = console.Progress("mine", 200, tty=False, quiet_s=0)
    for i in range(200):
        bar.advance(verified=i)
    bar.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert "200/200" in lines[-1] and "verified 199" in lines[-1]


def test_the_last_line_of_progress_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    bar = console.Progress("mine", 30, tty=False, quiet_s=0)
    bar.advance(29)
    bar.advance(0)
    bar.end()
    assert len(capsys.readouterr().err.splitlines()) == 1
    bar.advance()
    bar.end()
    assert "30/30" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("total", [200, None])
def test_a_job_of_a_moment_says_nothing_without_a_terminal(
    total: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with console.progress("apply", total) as bar:
        for _ in range(200):
            bar.advance()
    assert capsys.readouterr().err == ""


def test_foreign_text_cannot_drive_a_terminal() -> None:
    assert console.clean("a\x1b]0;title\x07b\x1b[2J\nc\td") == "a]0;titleb\nc\td"
    assert console.clean("a = \u202e1\u2069") == r"a = \u202e1\u2069"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_colors_where_they_belong(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert console.colored(Terminal()) is wanted
    assert not console.colored(io.StringIO())


def test_progress_on_a_dumb_terminal_has_no_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "dumb")
    with console.progress("mine", 20) as bar:
        for _ in range(20):
            bar.advance()
    assert "\x1b" not in screen.getvalue()
