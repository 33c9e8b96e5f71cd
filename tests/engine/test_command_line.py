"""How the command line is read: what each way to end means, and edits in characters."""

# ruff: noqa: E501  (tables of cases read best unbroken)
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from rulewright.actions import Action
from rulewright.actions.rule_file import Document, read_rule_file
from rulewright.cli import main
from rulewright.engine import cli, walk
from rulewright.engine.export import PackRule, export
from rulewright.errors import RulewrightError
from rulewright.verdict import RuleFailed, Verdict

RULE: dict[str, Any] = {"rule": {"pattern": "old($A)"}, "fix": "new($A)"}


def scan_by(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> cli.CliScan:
    """Scan with a program in the place of ast-grep."""
    program = folder / "ast-grep"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(cli, "binary", lambda: str(program))
    return cli.scan(RULE, "python", "old(1)\n", "r")


@pytest.mark.parametrize(
    ("script", "verdict", "says"),
    [
        ("echo 'thread main panicked at x' >&2; exit 0", Verdict.CRASHED, "ast-grep panicked"),
        ("echo 'Error: it' >&2; echo ' ╰▻ one' >&2; echo '  ╰▻ the last cause' >&2; echo >&2; exit 8", Verdict.BAD_RULE, "the last cause"),
        ("exit 8", Verdict.BAD_RULE, "refused without a reason"),
        ("exit 101", Verdict.CRASHED, "ast-grep ended with 101"),
        ("kill -ABRT $$", Verdict.CRASHED, "ast-grep ended with -6"),
        ("kill -SEGV $$", Verdict.CRASHED, "ast-grep ended with -11"),
        ("kill -XFSZ $$", Verdict.CRASHED, "ast-grep ended with -25"),
        ("kill -XCPU $$", Verdict.TIMEOUT, "more than 20 s of processor time"),
        ("kill -KILL $$", None, "ast-grep ended with -9"),  # as Linux does where memory runs out
        ("echo first >&2; echo second >&2; exit 2", None, "ast-grep ended with 2: second"),
        ("exit 3", None, "ast-grep ended with 3: \n"),
    ],
)  # fmt: skip
def test_every_way_to_end_has_its_meaning(
    script: str, verdict: Verdict | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RulewrightError if verdict is None else RuleFailed, match=says) as caught:
        scan_by(script, tmp_path, monkeypatch)
    assert getattr(caught.value, "verdict", None) is verdict


@pytest.mark.parametrize("code", [0, 1])
def test_that_it_found_something_is_no_failure(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan_by(f"exit {code}", tmp_path, monkeypatch) == cli.CliScan(0, [])


def test_processor_time_and_the_clock_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "WALL_SECONDS", 0.3)
    with pytest.raises(RulewrightError, match=r"no answer within 0\.3 s"):
        scan_by("exec sleep 30", tmp_path, monkeypatch)
    monkeypatch.setattr(cli, "WALL_SECONDS", 60)
    monkeypatch.setattr(cli, "CPU_SECONDS", 1)
    with pytest.raises(RuleFailed, match="more than 1 s of processor time"):
        scan_by("while :; do :; done", tmp_path, monkeypatch)


@pytest.mark.parametrize("before", ["", "é = '日本 𝄞'\n"])
def test_edits_are_in_characters_and_outer_before_inner(before: str) -> None:
    code = f"{before}old(old(1))\nold(2)\n"
    found = cli.scan({**RULE, "message": "calls $A"}, "python", code, "r")
    at = len(before)
    assert found.n_matches == 3 and found.message == "calls old(1)"
    assert [(one.start, one.end, one.text) for one in found.edits] == [
        (at, at + 11, "new(old(1))"), (at + 4, at + 10, "new(1)"), (at + 12, at + 18, "new(2)"),
    ]  # fmt: skip
    assert [(one.match_start, one.match_end) for one in found.edits] == [
        (e.start, e.end) for e in found.edits
    ]


def test_of_matches_that_begin_together_the_outer_one_comes_first() -> None:
    found = cli.scan({"rule": {"pattern": "$A.x"}, "fix": "$A.y"}, "python", "a.x.x\n", "r")
    assert [(one.match_start, one.match_end) for one in found.edits] == [(0, 5), (0, 3)]


def test_matches_without_a_fix_are_counted() -> None:
    found = cli.scan({"rule": {"pattern": "old($A)"}}, "python", "old(1)\nold(2)\n", "r")
    assert (found.n_matches, found.edits, found.message) == (2, [], "")


@pytest.mark.parametrize(
    ("version", "fits"), [("0.51.0", True), ("0.51.9", True), ("0.50.9", False), ("1.51.0", False)]
)
def test_only_the_minor_version_counts(version: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "versions", lambda: {"ast-grep-cli": version})
    if fits:
        cli.check_version(allow_other=False)
    else:
        with pytest.raises(RulewrightError, match=r"expected 0\.51\.x") as raised:
            cli.check_version()
        assert raised.value.hint is not None and "ast-grep-cli>=0.51,<0.52" in raised.value.hint
        cli.check_version(allow_other=True)


JUDGING = {
    "synth": ["synth", "--source-dir", ".", "--out", "OUT"],
    "mine": ["mine", "records.jsonl", "--out", "OUT"],
    "eval actions": ["eval", "actions", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--input", "records.jsonl"],
    "eval mining": ["eval", "mining", "records.jsonl", "--out", "OUT"],
    "bench rules": ["bench", "rules", "--input", "records.jsonl", "--miner"],
    "train sft": ["train", "sft", "--config", "sft.yaml", "--out", "OUT"],
}  # fmt: skip


@pytest.mark.parametrize("command", JUDGING)
def test_what_judges_claims_no_folder_without_ast_grep(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("x = a == None\n")
    action = "id: r\nlanguage: python\nrule: {pattern: $A == None}\nfix: $A is None"
    metadata = {"id": "00000001", "source": "own", "license": "mit", "group": "g", "action": action}
    row = {"instruction": "Use `is`.", "pre": "a == None\n", "post": "a is None\n", "language": "python"}
    (tmp_path / "records.jsonl").write_text(json.dumps({**row, "metadata": metadata}) + "\n")
    entry = "[{path: records.jsonl}]"
    (tmp_path / "sft.yaml").write_text(
        f"{{task: action, tiny: {{}}, max_length_tokens: 512, mix: {entry}, dev: {entry}}}"
    )
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    cli.binary.cache_clear()
    try:
        assert main(JUDGING[command]) == 1
    finally:
        cli.binary.cache_clear()
    assert "no `ast-grep` executable" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before


BROKEN = {
    "not executable": (None, "Permission denied"),
    "no program": ("no program at all\n", "Exec format error"),
    "of a gone interpreter": ("#!/no/such/interpreter\n", "No such file"),
    "that crashes": ("#!/bin/sh\nkill -SEGV $$\n", "is not a working ast-grep: exit -11"),
    "that fails": ("#!/bin/sh\necho no libc >&2\nexit 127\n", "is not a working ast-grep: no libc"),
    "that is another": ("#!/bin/sh\necho sg 1.2\n", "is not a working ast-grep: sg 1.2"),
    "that is old": ("#!/bin/sh\necho ast-grep 0.38.1\n", "ast-grep-cli 0.38.1 is installed, expected 0.51"),
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a program that is no use in the place of ast-grep; give what shall be said of it."""
    text, says = BROKEN[request.param]
    program = tmp_path / "ast-grep"
    program.write_text(text or "#!/bin/sh\n")
    program.chmod(0o644 if text is None else 0o755)
    monkeypatch.setattr(cli, "binary", lambda: str(program))
    return says


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "x.py").write_text("old(1)\n")
    (tmp_path / "r.yml").write_text("id: r\nlanguage: Python\nrule: {pattern: old($A)}\nfix: new($A)\n")
    return tmp_path


def test_a_broken_program_is_named_with_the_next_step(
    broken: str, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", str(code / "r.yml"), str(code / "x.py"), "--write"]) == 1
    said = capsys.readouterr().err
    assert broken in said and "pip install" in said and "ast-grep-cli>=0.51,<0.52" in said
    assert (code / "x.py").read_text() == "old(1)\n"
    assert main(["doctor"]) == 1
    assert "broken: ast-grep program" in capsys.readouterr().err


def test_a_program_that_cannot_be_started_is_named_wherever_it_is(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = Action("python", ({"rule": {"pattern": "$A == None"}, "fix": "$A is None"},))
    (document,) = cast(tuple[Document, ...], read_rule_file((code / "r.yml").read_text()))
    monkeypatch.setattr(cli, "binary", lambda: str(code / "ast-grep"))
    for attempt in (
        lambda: cli.scan(action.rules[0], "python", "a == None\n", "r"),
        lambda: cli.update([(action.rules[0], "r")], "python", "a == None\n"),
        lambda: walk.find([code], [document]),
        lambda: export([PackRule("x", action, ["a == None\n"])], code / "pack"),
    ):
        with pytest.raises(RulewrightError, match="cannot be started") as raised:
            attempt()
        assert "pip install" in raised.value.hint
