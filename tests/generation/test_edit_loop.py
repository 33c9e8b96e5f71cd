"""`edit "sentence"` as a loop: feedback, votes by effect, and the user before a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Reply, json_reply

from rulewright import cli
from rulewright.asking import Rounds, ask
from rulewright.engine import Engine, Request
from rulewright.generation import GeneratorConfig, open_generator

CODE = "def pick(a, b):\n    if a == None:\n        return b == 1\n    return a\n"
LIMIT_S = 120.0


def answer(pattern: str, fix: str, body: str = "") -> str:
    body = body or f"pattern: {pattern}"
    rule = f"id: rule\nlanguage: Python\nrule:\n  {body}\nfix: {fix}\n"
    said = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": rule}
    return f"<action>{json.dumps({'action': said})}</action>"


IDENTITY, SAME = answer("$A == None", "$A is None"), answer("$LEFT == None", "$LEFT is None")
BROAD = answer("$A == $B", "$A is $B")
MISSES = answer("$A = None", "$A is None")


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat_server: Any) -> Any:
    """Have the server give answers in turn, whatever is asked; the last one again and again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / "b.py").write_text("if value == None:\n    pass\n")

    def script(*texts: str) -> Any:
        left = list(texts)

        def reply(path: str, body: dict[str, Any], index: int) -> Reply:
            given = [left.pop(0) if len(left) > 1 else left[0] for _ in range(body.get("n", 1))]
            choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in given]
            usage = {"prompt_tokens": 100, "completion_tokens": 10 * len(given)}
            return json_reply({"choices": choices, "usage": usage})

        chat_server.script = reply
        return chat_server

    return script


def edit(server: Any, *words: str) -> int:
    line = ["edit", "Compare with `None` by identity.", *words, "--base-url", server.url, "--model", "tiny"]
    return cli.main(line)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (json.dumps({"choices": [{"message": {"content": IDENTITY}}]}).encode(), "tokens not told"),
        (
            b'{"choices": [{"message": {"content": null, "refusal": "No."}}]}',
            "2 of 2 answers: no_action: the model declines: No.",
        ),
        (b"<html>Bad gateway</html>", "/v1: the answer is not JSON, but '<html>Bad gateway</html>'"),
    ],
)
def test_a_server_that_does_not_speak_the_protocol_well_is_told_by_its_address(
    scripted: Any, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = scripted("")
    server.script = lambda *_: Reply(body=body)
    extra = ("--set", "generator.max_retries=0")
    edit(server, "a.py", "--samples", "1", *extra)
    assert said in capsys.readouterr().err


def test_a_failed_answer_is_asked_again_with_the_reason(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = scripted(MISSES, "no action at all", IDENTITY)
    assert edit(server, "a.py", "--samples", "2", "--attempts", "2", "--yes") == 0
    prompts = [body["messages"][-1]["content"] for _, body in server.requests]
    told = [text.partition("<feedback>")[2].partition("</feedback>")[0] for text in prompts]
    assert told[:2] == ["", ""] and len(told) == 4
    assert any(text.startswith("no_match: the pattern `$A = None`") for text in told), told
    assert any(text.startswith("no_action: ") for text in told)
    assert server.requests[0][1]["temperature"] == 0 and server.requests[1][1]["temperature"] > 0
    assert "asked for 4 answers: 400 prompt and 40 answer tokens" in capsys.readouterr().err
    assert (tmp_path / "a.py").read_text() == CODE.replace("== None", "is None")


def test_attempts_end_and_every_reason_is_told(scripted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = scripted(MISSES)
    assert edit(server, "a.py", "--samples", "2", "--attempts", "3", "--yes") == 1
    said = capsys.readouterr().err
    assert "6 of 6 answers: no_match" in said and "--attempts" in said
    assert sum(body.get("n", 1) for _, body in server.requests) == 6


def test_a_rule_that_does_harm_in_another_file_is_asked_again(scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("x = f(first, last == None)\n")
    (tmp_path / "a.py").write_text("x = f(first == None)\n")
    # It keeps the last argument only.
    lossy = answer("", "f($A is None)", "kind: call\n  has: {pattern: $A == None, stopBy: end}")
    server = scripted(lossy, IDENTITY)
    assert edit(server, "a.py", "c.py", "--samples", "1", "--attempts", "2", "--yes") == 0
    told = server.requests[1][1]["messages"][-1]["content"]
    assert "lossy: in c.py: " in told
    assert (tmp_path / "c.py").read_text() == "x = f(first, last is None)\n"


def test_votes_are_counted_by_effect_and_the_most_come_first(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = scripted(BROAD, IDENTITY, SAME, "nothing")
    words = ("a.py", "b.py", "--samples", "4", "--attempts", "1")
    assert edit(server, *words) == 0
    shown = capsys.readouterr()
    assert "pattern: $A == None" in shown.out and "2 of 3 valid answers do this" in shown.err
    assert "otherwise (1 answer): also changes a.py:3: b == 1  →  b is 1" in shown.err
    server = scripted(BROAD, IDENTITY, SAME, "nothing")
    assert edit(server, *words, "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["votes"], last["answers"], last["prompt_tokens"]) == (2, 4, 200)
    assert last["others"][0]["votes"] == 1 and last["others"][0]["doubtful"] == 1


def test_another_text_for_the_same_place_is_said_as_such(
    scripted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = scripted(IDENTITY, answer("$A == None", "$A is not None"), SAME)
    assert edit(server, "a.py", "--samples", "3", "--attempts", "1") == 0
    said = capsys.readouterr().err
    assert "otherwise (1 answer): changes in another way a.py:" in said and "→  a is not None" in said
    assert "also changes" not in said and "does not change" not in said
    server = scripted(IDENTITY)
    assert edit(server, "a.py", "--samples", "1") == 0
    said = capsys.readouterr().err
    assert "1 of 1 valid answer does this" in said
    assert said.index(" for 1 answer\n") < said.index("asked for 1 answer: ")


def test_what_rewrites_nearly_everything_comes_last(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("x = y == None\n" + "".join(f"v{i} = w{i} == {i}\n" for i in range(20)))
    server = scripted(BROAD, answer("$L == $R", "$L is $R"), BROAD, IDENTITY)
    assert edit(server, "a.py", "--samples", "4", "--attempts", "1") == 0
    shown = capsys.readouterr()
    assert "pattern: $A == None" in shown.out and "1 of 4 valid answers" in shown.err
    assert "otherwise (3 answers): also changes a.py:2" in shown.err and "and 19 more" in shown.err


def test_the_price_is_shown_where_it_is_given(scripted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    prices = ("--price-in-usd-per-mtok", "100", "--price-out-usd-per-mtok", "1000")
    assert edit(scripted(IDENTITY), "a.py", "--samples", "1", *prices) == 0
    assert "$0.0200" in capsys.readouterr().err


def test_feedback_can_be_left_out_and_samples_differ(scripted: Any) -> None:
    server = scripted(MISSES)
    spec = GeneratorConfig(model="tiny", base_url=server.url)
    with open_generator(spec) as generator, Engine() as engine:
        asked = ask(
            generator, Rounds(samples=3, attempts=2, feedback=False), "Say it.", CODE, "python",
            lambda action: engine.judge(Request(action, CODE, "python")),
        )  # fmt: skip
    assert [(one.sample, one.attempt) for one in asked.tried] == [(s, a) for a in (0, 1) for s in range(3)]
    assert not any("<feedback>" in body["messages"][-1]["content"] for _, body in server.requests)
    assert len({body["seed"] for _, body in server.requests}) == 2 and asked.spent.answers == 6


class Terminal:
    """`rulewright edit` in a terminal of its own."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            line = [sys.executable, "-m", "rulewright", "edit", *words]
            os.execve(sys.executable, line, {**os.environ, "TERM": "dumb", **environment})

    def until(self, text: str) -> str:
        """Read until a text is shown; give what was shown since the last time."""
        seen, end = "", time.monotonic() + LIMIT_S
        while text not in seen:
            ready, _, _ = select.select([self.fd], [], [], 1.0)
            try:
                piece = os.read(self.fd, 65536).decode() if ready else ""
            except OSError:
                piece, ready = "", [0]
            assert (piece or not ready) and time.monotonic() < end, (
                f"{text!r} was not shown:\n{self.shown}{seen}"
            )
            seen += piece.replace("\r\n", "\n")
        self.shown += seen
        return seen

    def type(self, line: str) -> None:
        os.write(self.fd, f"{line}\n".encode())

    def ended(self) -> int:
        """The exit code."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


MENU = "[q]uit: "


@pytest.fixture
def terminal(scripted: Any, tmp_path: Path) -> Callable[..., Terminal]:
    def start(*words: str, **environment: str) -> Terminal:
        server = scripted(BROAD, IDENTITY, SAME)
        path = os.pathsep.join(
            filter(None, [str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH")])
        )
        flags = ("--samples", "3", "--attempts", "1", "--base-url", server.url, "--model", "tiny")
        instruction = "Compare with `None` by identity."
        return Terminal(tmp_path, instruction, *words, *flags, PYTHONPATH=path, **environment)

    return start


def test_accept_on_a_terminal(terminal: Any, tmp_path: Path) -> None:
    window = terminal("a.py", "b.py", "--save", "kept.yml")
    first = window.until(MENU)
    assert (
        "pattern: $A == None" in first
        and "[a]ccept (2 sure places)" in first
        and "[n]ext rule (1 of 2)" in first
    )
    assert "\x1b[" not in first
    window.type("x")
    window.until(MENU)
    window.type("a")
    assert window.ended() == 0
    assert "is None" in (tmp_path / "a.py").read_text() and "is None" in (tmp_path / "b.py").read_text()
    assert "pattern: $A == None" in (tmp_path / "kept.yml").read_text()


def test_next_place_by_place_and_narrowed_files(terminal: Any, tmp_path: Path) -> None:
    window = terminal("a.py", "b.py")
    window.until(MENU)
    window.type("n")
    assert "pattern: $A == $B" in window.until(MENU)
    window.type("n")
    window.until(MENU)
    window.type("f")
    window.until("files (")
    window.type("b.*")
    assert "1 place in 1 file: 1 sure" in window.until(MENU)
    window.type("p")
    window.until("change it?")
    window.type("y")
    assert window.ended() == 0
    assert (tmp_path / "a.py").read_text() == CODE
    assert (tmp_path / "b.py").read_text() == "if value is None:\n    pass\n"


def test_the_rule_is_edited_and_quit_writes_nothing(terminal: Any, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text("#!/bin/sh\nsed -i 's/fix: .*/fix: is_none($A)/' \"$1\"\n")
    script.chmod(0o755)
    window = terminal("a.py", "b.py", EDITOR=str(script), VISUAL="")
    window.until(MENU)
    window.type("e")
    again = window.until(MENU)
    assert (
        "fix: is_none($A)" in again and "[n]ext rule (1 of 3)" in again and "otherwise (2 answers)" in again
    )
    window.type("q")
    assert window.ended() == 0
    assert (tmp_path / "a.py").read_text() == CODE


def test_a_rule_that_is_edited_wrongly_is_told_and_asked_again(terminal: Any, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text("#!/bin/sh\nsed -i 's/pattern/patern/' \"$1\"\n")
    script.chmod(0o755)
    window = terminal("a.py", EDITOR=str(script), VISUAL="")
    window.until(MENU)
    window.type("e")
    shown = window.until(MENU)
    assert "patern" in shown and "error: " in shown and "pattern: $A == None" in shown
    window.type("\x04")
    window.type("q")
    assert window.ended() == 0


@pytest.mark.parametrize("narrow", [{"COLUMNS": "40"}, {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "xterm"}])
def test_the_terminal_may_be_narrow_or_without_colors(terminal: Any, narrow: dict[str, str]) -> None:
    window = terminal("a.py", **narrow)
    assert not re.search(r"\x1b\[[\d;]*m", window.until(MENU))
    window.type("q")
    assert window.ended() == 0
