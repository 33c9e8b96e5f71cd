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


def test_progress_of_a_run_that_is_resumed_counts_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    bar = console.Progress("train", None, tty=False, quiet_s=0)
    bar.begin(40, 20)
    bar.advance()
    bar.advance(19)
    bar.end()
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("train: 21/40") and last.startswith("train: 40/40")


def test_a_line_takes_the_place_of_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood behind the bar, and the next bar was drawn over both."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = console.Progress("train", 3, tty=True, every_s=0)
    bar.advance()
    console.say("step 1")
    console.say("saved")
    bar.advance(2)
    bar.end()
    shown = [line.rpartition("\x1b[2K")[2] for line in screen.getvalue().split("\n")]
    assert shown[:2] == ["step 1", "saved"] and shown[2].startswith("train: 3/3")
    assert screen.getvalue().startswith("train: 1/3") and screen.getvalue().count("\x1b[2K") == 2


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
