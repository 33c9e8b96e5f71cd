"""The exported pack passes ast-grep's own `test` and `scan`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rulewright.actions import Action
from rulewright.engine import cli
from rulewright.engine.export import PackRule, export
from rulewright.errors import RulewrightError

NONE_EQ = Action("python", ({"rule": {"pattern": "$A == None"}, "fix": "$A is None"},))
TWO = Action(
    "javascript",
    (
        {"rule": {"pattern": "var $A = $B;"}, "fix": "let $A = $B;"},
        {"rule": {"pattern": "log($A)"}, "constraints": {"A": {"regex": "^x"}}, "fix": "print(\n  $A)"},
    ),
)


def _ast_grep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([cli.binary(), *words], cwd=folder, capture_output=True, text=True, check=False)


def test_a_pack_passes_and_rewrites_as_we_do(tmp_path: Path) -> None:
    examples = [
        PackRule("none eq/..", NONE_EQ, ["x == None\n", "if y == None:\n    pass\n"], "Use `is None`."),
        PackRule("two", TWO, ["var a = 1;\nlog(x)\nlog(y)\n"]),
        PackRule("two", NONE_EQ, ["z == None"]),
        *[PackRule("../", NONE_EQ, ["z == None"])] * 3,
    ]
    assert export(examples, tmp_path) == 7
    assert sorted(path.name for path in (tmp_path / "rules").iterdir()) == [
        "none-eq.yml", "rule-2.yml", "rule-3.yml", "rule.yml", "two-1.yml", "two-2.yml", "two.yml",
    ]  # fmt: skip
    tested = _ast_grep(tmp_path, "test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert list((tmp_path / "tests" / "__snapshots__").iterdir())
    (tmp_path / "a.py").write_text("q == None\n")
    found = _ast_grep(tmp_path, "scan", "--json=compact", "a.py")
    assert {item["ruleId"] for item in json.loads(found.stdout)} == {
        "none-eq",
        "two",
        "rule",
        "rule-2",
        "rule-3",
    }


def test_names_that_differ_by_case_alone_are_told_apart(tmp_path: Path) -> None:
    export([PackRule(name, NONE_EQ, ["z == None"]) for name in ("eq", "Eq")], tmp_path)
    assert sorted(path.name for path in (tmp_path / "rules").iterdir()) == ["Eq-2.yml", "eq.yml"]


def test_an_action_without_effect_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(RulewrightError, match="x: rule 1 changes none of its 1 texts"):
        export([PackRule("x", NONE_EQ, ["a is None\n"])], tmp_path)
