"""What is printed."""

from __future__ import annotations

import pytest

from rulewright import console
from rulewright.errors import RulewrightError


def test_errors_have_message_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    console.error(RulewrightError("a.jsonl:3: bad\nb: worse", "mend it"))
    assert capsys.readouterr().err == "error: a.jsonl:3: bad\nerror: b: worse\nhint: mend it\n"


def test_progress_without_a_terminal_says_every_5_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("mine", 200) as bar:
        for i in range(200):
            bar.advance(verified=i)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert "200/200" in lines[-1] and "verified 199" in lines[-1]


def test_foreign_text_cannot_drive_a_terminal() -> None:
    assert console.clean("a\x1b]0;title\x07b\x1b[2J\nc\td") == "a]0;titleb\nc\td"
