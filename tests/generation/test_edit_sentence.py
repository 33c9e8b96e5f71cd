"""`rulewright edit "sentence"`: a model's rule beside what was said, before anything is written."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import json_reply

from rulewright import cli
from rulewright.codemod.instruction import InstructionWords
from rulewright.verdict import Place

CODE = (
    "def pick(self, key):\n    if self.cache == None:\n        return conn.get(key)\n    return self.cache\n"
)


def answer(rule: str, fix: str) -> str:
    text = f"id: rule\nlanguage: Python\nrule:\n{rule}\nfix: {fix}\n"
    body = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": text}
    return f"<action>{json.dumps({'action': body})}</action>"


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat_server: Any) -> Any:
    """A function that runs `edit` with a model that gives one answer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / "b.py").write_text("if value == None:\n    conn.get(1)\n")

    def run(text: str, *words: str) -> int:
        reply = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": {}}
        chat_server.script = lambda path, body, index: json_reply(reply)
        return cli.main(
            [
                "edit",
                *words,
                "--base-url",
                chat_server.url,
                "--model",
                "tiny",
                "--samples",
                "1",
                "--attempts",
                "1",
            ]
        )

    return run


NONE = answer("  pattern: $A == None", "$A is None")
# What a small model made of "Use `fetch` instead of `get`.": it takes another name for the one meant.
WRONG = answer("  pattern: self.cache", "self.fetch")


def test_a_rule_that_does_what_was_said_is_sure(
    ask: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("Compare with `None` by identity.", "a.py", "b.py")
    assert ask(NONE, *words) == 0
    shown = capsys.readouterr()
    assert (
        "pattern: $A == None" in shown.out
        and "a.py:2: self.cache == None  →  self.cache is None" in shown.out
    )
    assert "2 places in 2 files: 2 sure, 0 possible" in shown.err and "--write" in shown.err
    assert (tmp_path / "a.py").read_text() == CODE
    assert ask(NONE, *words, "--write", "--save", "kept.yml") == 0
    assert "value is None" in (tmp_path / "b.py").read_text()
    assert "pattern: $A == None" in (tmp_path / "kept.yml").read_text()


@pytest.mark.parametrize("flag", ["--write", "--yes"])
def test_names_that_were_not_mentioned_are_never_written_unseen(
    ask: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    words = ("Use `fetch` instead of `get`.", "a.py", "b.py", flag)
    assert ask(WRONG, *words) == 1
    shown = capsys.readouterr()
    assert "the rule takes away `cache`, which you did not mention" in shown.err
    assert "the rule brings in `fetch`, as you said" in shown.err
    assert "`cache` goes, which you did not mention" in shown.out
    assert "you named `get`, and the rule changes no place that holds it" in shown.err
    assert "nothing was written" in shown.err and "0 sure, 2 possible" in shown.err
    assert (tmp_path / "a.py").read_text() == CODE


def test_a_possible_place_is_written_when_it_is_named(ask: Any, tmp_path: Path) -> None:
    words = ("Use `fetch` instead of `get`.", "a.py", "b.py", "--write", "--only", "a.py:4")
    assert ask(WRONG, *words) == 0
    assert (tmp_path / "a.py").read_text() == CODE.replace("return self.cache", "return self.fetch")


def test_the_rows_say_how_sure_each_place_is(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(WRONG, "Use `fetch` instead of `get`.", "a.py", "--json") == 0
    *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["path"], row["line"], row["sure"]) for row in rows] == [
        ("a.py", 2, False),
        ("a.py", 4, False),
    ]
    assert (last["matches"], last["sure"], last["written"]) == (2, 0, [])
    assert last["action"]["rules"][0]["fix"] == "self.fetch"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("reply", ["a", "q", ""])
def test_a_terminal_is_asked(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{reply}\n" if reply else ""))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(os.environ, "TERM", "dumb")
    assert ask(NONE, "Compare with `None` by identity.", "a.py") == 0
    assert (tmp_path / "a.py").read_text() == (CODE.replace("== None", "is None") if reply == "a" else CODE)


def test_without_a_model_the_ways_to_one_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(CODE)
    assert cli.main(["edit", "Compare with `None` by identity.", "a.py"]) == 2
    said = capsys.readouterr().err
    assert all(way in said for way in ("make demo", "--model", "--base-url"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "a.py"], "--only a.py: expected FILE:LINE"),
        (["--only", "a.py:²"], "--only a.py:²: expected FILE:LINE"),
        (["--save", "."], "--save .: is a folder"),
        (["--html", "."], "--html .: is a folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_model_is_asked(
    ask: Any, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(NONE, "Compare with `None` by identity.", "a.py", *options) == 2
    shown = capsys.readouterr().err
    assert said in shown and "asked for" not in shown


def test_an_instruction_of_blanks_is_none(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(NONE, "  ", "a.py") == 2
    assert "expected an instruction and files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("instruction", "place", "doubt"),
    [
        ("Compare with None by identity.", Place(1, 1, "a == None", "a is None", 0), ""),
        ("Compare with None by identity.", Place(1, 1, "a == b", "a is b", 0), "nothing of what you named"),
        ("Rename `old_run` to `run`.", Place(1, 1, "old_run", "run", 0, ("old_run",), ("run",)), ""),
        ("Rename old run to fast run.", Place(1, 1, "oldRun", "fastRun", 0, ("oldRun",), ("fastRun",)), ""),
        ("Rename `old_run` to `run`.", Place(1, 1, "start", "run", 0, ("start",), ("run",)), "`start` goes"),
        ("Drop the call of `trace`.", Place(1, 1, "trace(x)", "", 0, ("trace", "x"), ()), "`x` goes"),
        ("Use `is None`.", Place(1, 1, "a == None", "a is not None", 0), "a negation comes"),
        ("Use `is` for `None`.", Place(1, 1, "a != None", "a is None", 0), "a negation goes"),
        ("Use `is` for `None`.", Place(1, 1, "a != None", "a is not None", 0), ""),
        ("Use `not None` here.", Place(1, 1, "a == None", "not None", 0, ("a",), ()), "`a` goes"),
        ("Don't compare with None by `==`.", Place(1, 1, "None == a", "not None", 0), ""),
        ("Use `log` for `None`.", Place(1, 1, "info!(None)", "log(None)", 0, (), ("log",)), ""),
        ("Use 3 instead of 2.", Place(1, 1, "f(2)", "f(4)", 0, ("2",), ("4",)), "`4` comes"),
    ],
)  # fmt: skip
def test_how_sure_a_place_is(instruction: str, place: Place, doubt: str) -> None:
    said = InstructionWords(instruction, "if a == None:\n    old_run(2)\n")
    assert doubt in said.doubt(place) and bool(doubt) == bool(said.doubt(place))
