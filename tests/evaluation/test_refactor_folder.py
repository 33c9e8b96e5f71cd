"""The refactor-benchmark's folder layout, with tiny tasks of our own; official and tightened checks."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.conftest import Oracle, read_page

from rulewright.cli import main
from rulewright.evaluation import refactor
from rulewright.evaluation.refactor_check import check
from rulewright.prompts import fence

BODY = """\
        total = 0
        for item in items:
            if item.price is not None and item.count > 0:
                total += item.price * item.count
            elif item.fallback:
                total += item.fallback.price
        if total < 0:
            raise ValueError("negative total", total)
        return round(total, 2)
"""
BEFORE = f'''\
class Basket:
    """Holds items."""

    def __init__(self, items):
        self.items = list(items)
        self.names = [item.name for item in items if item.name]
        self.seen = {{name: index for index, name in enumerate(self.names)}}

    def total_of(self, items):
{BODY}
    def report(self):
        first, rest = self.total_of(self.items[:1]), self.total_of(self.items[1:])
        lines = [f"{{name}}: {{self.seen[name]}}" for name in sorted(self.seen)]
        return "\\n".join([*lines, f"first {{first}}", f"rest {{rest}}", f"all {{first + rest}}"])
'''
FUNCTION = "def total_of(items):\n" + "\n".join(line[4:] for line in BODY.splitlines()) + "\n\n\n"
METHOD = f"    def total_of(self, items):\n{BODY}\n"
MOVED = FUNCTION + BEFORE.replace(METHOD, "").replace("self.total_of(", "total_of(")
FORGOTTEN = FUNCTION + BEFORE.replace(METHOD, "")


def sizes() -> tuple[int, int]:
    owner = ast.parse(BEFORE).body[0]
    assert isinstance(owner, ast.ClassDef)
    count = lambda node: sum(1 for _ in ast.walk(node))  # noqa: E731
    return count(owner.body[2]), count(owner)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    method, owner = sizes()
    task = tmp_path / "bench" / "shop_Basket_total_of"
    (task / ".docs").mkdir(parents=True)
    (task / "shop.py").write_text(BEFORE)
    (task / ".docs" / "instructions.md").write_text("# Refactor\n\nMake `total_of` a top level function.\n")
    (task / "shop_test.py").write_text(
        "import unittest\nfrom pathlib import Path\n\n"
        "class TheTest(unittest.TestCase):\n    def test(self):\n"
        f'        fname = Path(__file__).parent / "shop.py"\n        method = "total_of"\n'
        f'        method_children = {method}\n        class_name = "Basket"\n'
        f"        class_children = {owner}\n"
        "        raise SystemExit('tests are read, never run')\n"
    )
    (tmp_path / "bench" / "other" / ".docs").mkdir(parents=True)
    (tmp_path / "bench" / "other" / ".docs" / "instructions.md").write_text("no python here")
    return tmp_path / "bench"


@pytest.mark.parametrize(
    ("code", "official", "strict", "words"),
    [
        (MOVED, True, True, ""),
        (FORGOTTEN, True, False, "still uses the method"),
        (BEFORE, False, False, "not a top-level function"),
        (MOVED.replace("def total_of", "def total"), False, False, "not found"),
        (MOVED.replace(FUNCTION, "def total_of(items):\n    ...\n"), False, False, "nodes, the function has"),
        (MOVED.replace("Basket", "Bag"), False, False, "class Basket not found"),
        ("def broken(", False, False, "does not parse"),
        (MOVED + FUNCTION, True, False, "more than once"),
    ],
)
def test_checks(code: str, official: bool, strict: bool, words: str) -> None:
    method, owner = sizes()
    found = check(code, "total_of", method, "Basket", owner)
    assert (found["official"], found["strict"]) == (official, strict)
    assert words in found["strict_reason"]


def test_a_copy_in_a_large_class_passes_the_official_check_only() -> None:
    """The loophole: where the method is under 10 % of its class, leaving it behind is not noticed."""
    filler = "".join(
        f"    def m{i}(self):\n        return [self.items, {i}, {i} + {i}]\n\n" for i in range(80)
    )
    before = BEFORE + "\n" + filler
    owner_node = ast.parse(before).body[0]
    method, owner = sizes()[0], sum(1 for _ in ast.walk(owner_node))
    found = check(FUNCTION + before, "total_of", method, "Basket", owner)
    assert found["official"] and not found["strict"]
    assert found["strict_reason"] == "the method is still in class Basket"


def test_loading_reads_the_tests_and_runs_nothing(folder: Path) -> None:
    tasks, skipped = refactor.load(folder)
    assert [task.name for task in tasks] == ["shop_Basket_total_of"]
    assert skipped == {"not_a_task": 1}
    assert (tasks[0].method, tasks[0].class_name) == ("total_of", "Basket")
    assert (tasks[0].method_nodes, tasks[0].class_nodes) == sizes()


def test_a_file_that_exhausts_the_parser_is_a_verdict(folder: Path) -> None:
    [task], _ = refactor.load(folder)
    for code in ("(" * 200_000, "x = " + "-" * 300_000 + "1"):
        found = refactor.run_check(task, code)
        assert isinstance(found, dict) and not found["official"] and found["strict_reason"]


@pytest.mark.parametrize("program", ["false", "no-such-program"])
def test_a_checker_that_does_not_start_is_our_fault(
    folder: Path,
    tmp_path: Path,
    oracle: Oracle,
    program: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oracle.answer = lambda prompt, body: fence(MOVED, "python")
    out = tmp_path / "run"
    command = ["eval", "refactor", "--input", str(folder), "--out", str(out), "--model", "m", "--base-url",
               oracle.url, "--track", "text"]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", shutil.which(program) or program)
        assert main(command) == 1
    assert "no answer could be judged (last: the checker did not" in capsys.readouterr().err
    assert json.loads((out / "rows.jsonl").read_text())["verdict"] == "infra"
    assert main([*command, "--rescore"]) == 0
    assert json.loads((out / "result.json").read_text())["metrics"]["passed"]["value"] == 1


def test_the_edited_file_of_a_text_answer_is_viewed(folder: Path, tmp_path: Path, oracle: Oracle) -> None:
    oracle.answer = lambda prompt, body: fence(FORGOTTEN, "python")
    run(folder, tmp_path / "run", oracle, "--track", "text")
    page = tmp_path / "page.html"
    assert main(["view", str(tmp_path / "run"), "--out", str(page)]) == 0
    _, [item] = read_page(page)
    assert "+def total_of(items):" in item["answers"][0]["diff"]


def run(folder: Path, out: Path, oracle: Any, *more: str) -> dict[str, Any]:
    command = ["eval", "refactor", "--input", str(folder), "--out", str(out), "--model", "m"]
    assert main([*command, "--base-url", oracle.url, *more]) == 0
    return json.loads((out / "result.json").read_text())


def test_text_track(folder: Path, tmp_path: Path, oracle: Oracle) -> None:
    oracle.answer = lambda prompt, body: fence(MOVED, "python")
    found = run(folder, tmp_path / "a", oracle, "--track", "text")
    assert found["metrics"]["passed"]["value"] == 1 and found["verdicts"] == {"ok": 1}
    assert found["metrics"]["literal"]["n"] == 0, "there is no rule in a text edit"
    oracle.answer = lambda prompt, body: fence(FORGOTTEN, "python")
    found = run(folder, tmp_path / "b", oracle, "--track", "text")
    assert found["metrics"]["passed"]["value"] == 0 and found["metrics"]["official"]["value"] == 1
    assert found["false_passes"] == ["shop_Basket_total_of"]


def test_action_track_with_three_rules(folder: Path, tmp_path: Path, oracle: Oracle) -> None:
    rules = [
        "id: a\nlanguage: Python\nrule:\n  pattern: self.total_of($$$A)\nfix: total_of($$$A)\n",
        "id: b\nlanguage: Python\nrule:\n  kind: function_definition\n  has:\n    field: name\n"
        "    regex: ^total_of$\n  inside:\n    kind: class_definition\n    stopBy: end\nfix: ''\n",
        "id: c\nlanguage: Python\nrule:\n  kind: class_definition\n"
        "  has:\n    field: name\n    regex: ^Basket$\n"
        "  pattern: $CLASS\nfix: |-\n"
        + "".join(f"  {line}\n" for line in FUNCTION.splitlines())
        + "  $CLASS\n",
    ]
    body = {
        "type": "ast_grep",
        "language": "python",
        "mode": "yaml",
        "rule_yaml": "---\n".join(rules),
        "notes": "",
    }
    oracle.answer = lambda prompt, b: f"<action>{json.dumps({'action': body})}</action>"
    found = run(folder, tmp_path / "a", oracle)
    row = json.loads((tmp_path / "a" / "rows.jsonl").read_text())
    assert row["verdict"] == "ok", row["detail"]
    assert found["rules_per_task"]["mean"] == 3
    assert row["literal"] == 0.0 and found["metrics"]["passed, not literal"]["value"] == 1
    oracle.answer = lambda prompt, b: "no"
    assert run(folder, tmp_path / "b", oracle)["verdicts"] == {"no_action": 1}


def test_wrong_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "refactor", "--input", str(tmp_path / "absent"), "--model", "m"]) == 2
    assert "git clone" in capsys.readouterr().err
    assert main(["eval", "refactor", "--input", str(tmp_path), "--model", "m"]) == 2
    assert "contains no task" in capsys.readouterr().err
