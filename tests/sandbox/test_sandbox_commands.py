"""`sandbox run`, `sandbox attack` and `doctor` as the user meets them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from rulewright.cli import main
from rulewright.sandbox import tiers

OWN = Path(__file__).parent / "attacks"


@pytest.fixture(autouse=True)
def _some_tier() -> None:
    if not any(tiers.probe(tier).works for tier in tiers.AUTOMATIC):
        pytest.skip("no sandbox tier works here")


def test_attack_gives_a_line_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["sandbox", "attack", str(OWN), "--only", "loopback", "h00_wrong", "pipe_and_tee", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert [row["name"] for row in rows] == ["loopback", "h00_wrong", "pipe_and_tee"]
    assert all({"name", "kind", "tier", "outcome", "contained"} <= row.keys() for row in rows)
    assert all(row["contained"] for row in rows)


def test_attack_reports_an_escape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text("print('ESCAPED by word')\n")
    (tmp_path / "index.jsonl").write_text(
        '{"name": "bad", "kind": "process", "file": "bad.py", "expected": ""}\n'
    )
    assert main(["sandbox", "attack", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "NO" in captured.out
    assert "not contained: bad: ESCAPED by word" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["attack", "/no/such/folder"],
        ["run", "/no/such/file.py"],
        ["attack", str(OWN), "--only", "nothing"],
        ["run", __file__, "--python", "/no/such/python"],
        ["run", __file__, "--tests", __file__, "--stdin", __file__],
    ],
)
def test_wrong_input_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert "hint: " in captured.err


def test_a_workspace_that_is_no_json_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "verdict_tests.py").write_text("def test_it():\n    assert True\n")
    (tmp_path / "w.json").write_text("not JSON")
    case = {"name": "w", "kind": "workspace", "file": "w.json", "expected": "PASS"}
    (tmp_path / "index.jsonl").write_text(json.dumps(case) + "\n")
    assert main(["sandbox", "attack", str(tmp_path)]) == 1
    assert f"{tmp_path / 'w.json'}: " in capsys.readouterr().err


@pytest.mark.parametrize("tier", tiers.AUTOMATIC)
def test_an_interpreter_may_be_named_by_a_relative_path(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers start elsewhere, where the path means nothing."""
    if not tiers.probe(tier).works:  # type: ignore[arg-type]
        pytest.skip(f"{tier} does not work here")
    (tmp_path / "p.py").write_text("print('hello')\n")
    monkeypatch.chdir(tmp_path)
    python = os.path.relpath(sys.executable)
    assert main(["sandbox", "run", "p.py", "--python", python, "--sandbox", tier]) == 0
    assert capsys.readouterr().out == "hello\n"


def test_run_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.py"
    path.write_text("print('hello')\n")
    assert main(["sandbox", "run", str(path)]) == 0
    assert capsys.readouterr().out == "hello\n"
    path.write_text("raise SystemExit(4)\n")
    assert main(["sandbox", "run", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["exit_code"] == 4


def test_run_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, tests = tmp_path / "shape.py", tmp_path / "t.py"
    program.write_text("import os\nos._exit(0)\n")
    tests.write_text("from shape import area\n\n\ndef test_area():\n    assert area(2) == 4\n")
    assert main(["sandbox", "run", str(program), "--tests", str(tests)]) == 1
    captured = capsys.readouterr()
    assert "official pass, strict fail" in captured.out
    assert "alarm" in captured.err
    program.write_text("def area(x):\n    return x * x\n")
    assert main(["sandbox", "run", str(program), "--tests", str(tests), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["official"], row["strict"], row["oracle"], row["verdict"]) == (True, True, "split", "ok")


def test_other_languages_say_that_they_are_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.go"
    path.write_text("package main\n")
    assert main(["sandbox", "run", str(path)]) == 2
    assert "go programs are not run" in capsys.readouterr().err


def test_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown")
    assert main(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    rows = {row["what"]: row for row in map(json.loads, out.splitlines())}
    assert "sk-never-shown" not in out
    assert rows["OPENAI_API_KEY"]["value"] == "set"
    assert rows["ast-grep program"]["verdict"] == "ok"
    assert rows["sandbox used by auto"]["value"] in ("bubblewrap", "landlock")
    assert all(row["verdict"] in ("ok", "absent", "limited", "broken") for row in rows.values())
    assert all(row["fix"] for row in rows.values() if row["verdict"] in ("absent", "broken"))


@pytest.mark.parametrize("columns", [60, 80])
def test_doctor_fits_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if len(line) > columns and " " in line[11:].strip()]
    missing = next(i for i, line in enumerate(lines) if line.startswith("absent   HF_TOKEN: not set"))
    assert lines[missing + 1].strip().startswith("→ export HF_TOKEN=")


def test_doctor_fails_for_what_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rulewright.engine import cli

    monkeypatch.setattr(cli, "SUPPORTED", (0, 1))
    assert main(["doctor"]) == 1
    assert "broken: ast-grep program, ast-grep binding" in capsys.readouterr().err


def test_a_folder_without_a_case_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.jsonl").write_text("")
    assert main(["sandbox", "attack", str(tmp_path)]) == 2
    assert "has no case" in capsys.readouterr().err


def test_a_wrong_interpreter_is_no_fault_of_the_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    main(["sandbox", "run", __file__, "--python", "/no/such/python"])
    said = capsys.readouterr().err
    assert "/no/such/python: cannot be started as a Python interpreter" in said and "unsafe" not in said


def test_a_program_is_run_in_its_own_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.py"
    path.write_bytes("# -*- coding: latin-1 -*-\nprint(len('\xe9'))\n".encode("latin-1"))
    assert main(["sandbox", "run", str(path)]) == 0
    assert capsys.readouterr().out == "1\n"


def test_tests_that_import_a_longer_name_do_not_import_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, tests = tmp_path / "a.py", tmp_path / "t.py"
    program.write_text("def f(x): return x\n")
    tests.write_text("import argparse\nassert f(1) == 1\n")
    assert main(["sandbox", "run", str(program), "--tests", str(tests)]) == 0
    tests.write_text("import argparse, a\n\n\ndef test_f():\n    assert a.f(1) == 1\n")
    assert main(["sandbox", "run", str(program), "--tests", str(tests)]) == 0
