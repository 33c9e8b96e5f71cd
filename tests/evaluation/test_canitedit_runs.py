"""CanItEdit end to end on tiny problems of our own: gold, text and action tracks, in the real sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.conftest import Oracle
from tests.waiting import wait_until

from rulewright.cli import main
from rulewright.evaluation.canitedit.data import Problem
from rulewright.evaluation.canitedit.execute import Executor
from rulewright.sandbox.runner import open_sandbox
from rulewright.verdict import Verdict

MARK = "### START TESTS ###\nif True:  # pragma: no cover\n"


def problem(
    number: int, before: str, after: str, checks: list[str], kind: str = "adaptive"
) -> dict[str, Any]:
    return {
        "id": number, "name": f"p{number}", "full_name": f"{number}_p{number}",
        "before": before, "after": after,
        "tests": MARK + "".join(f"    {check}\n" for check in checks).rstrip("\n"),
        "instruction_descriptive": f"Do the change number {number} with care.",
        "instruction_lazy": f"change {number}",
        "taxonomy": {"change_kind": kind, "libraries": [], "topic": "Math"},
    }  # fmt: skip


AREA = problem(
    2, "def area(w, h):\n    return w * h", "def area(w, h, n=1):\n    return w * h * n",
    ["assert area(2, 3) == 6", "assert area(2, 3, 2) == 12"],
)  # fmt: skip
GREET = problem(
    7, 'def greet(name):\n    return "hi " + name', 'def greet(name):\n    return "hello " + name',
    ['assert greet("a") == "hello a"'], "corrective",
)  # fmt: skip
ABSENT = problem(
    9,
    "import no_such_library_here\nx = 1",
    "import no_such_library_here\nx = 2",
    ["assert x == 2"],
    "perfective",
)
VLLM = problem(
    78, "x = 1", "from vllm import LLM, SamplingParams\nx = LLM(model='m')", ["assert x.model == 'm'"]
)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(p) + "\n" for p in (AREA, GREET, ABSENT, VLLM)))
    return path


def run(bench: Path, out: Path, *more: str) -> dict[str, Any]:
    code = main(["eval", "canitedit", "--input", str(bench), "--out", str(out), *more])
    assert code == 0
    return json.loads((out / "result.json").read_text())


def rows(out: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    return {f"{row['task']}#{row['sample']}": row for row in found}


CASES = {
    "A": (AREA["after"], "OK", True, [], 0.0),
    "spare": (
        AREA["after"] + "\n\ndef spare(a):\n    b = a\n    c = b\n    return c\n",
        "OK", True, [5, 6, 7], 0.25,
    ),
    "gap": (
        AREA["after"] + "\n\ndef spare(a):\n    b = a\n\n    # why\n    c = b\n    return c\n",
        "OK", True, [5, 6, 7, 8, 9], 0.357143,
    ),
    "call": (
        AREA["after"] + "\n\ndef spare(a):\n    return max(\n        a,\n        2)\n",
        "OK", True, [5], 0.083333,
    ),
    "line": (AREA["after"] + "\n\ndef spare(a): return a\n", "OK", True, [], 0.0),
    "guard": (
        "def area(w, h, n=1):\n    if n < 0:\n        raise ValueError(n)\n    return w * h * n",
        "OK", True, [3], 0.125,
    ),
    "exit": ("import sys\nsys.exit(0)\n" + AREA["after"], "OK", False, [3, 4], 0.25),
    "_exit": ("import os\nos._exit(0)\n" + AREA["after"], "OK", False, None, None),
    "before": (AREA["before"], "Exception", False, None, None),
    "syntax": ("def (", "SyntaxError", False, None, None),
    "indent": ("def f():\nreturn 1", "Exception", False, None, None),
    "endless": ("while True: pass", "Timeout", False, None, None),
    "loud": ("while True: print('x' * 10000)", "Timeout", False, None, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_sandbox() as sandbox:
        yield Executor(sandbox, wall_s=2.0)


@pytest.fixture(scope="module")
def area() -> Problem:
    texts = {key: AREA[key] for key in ("id", "name", "before", "after", "tests")}
    return Problem(**texts, instruction_descriptive="d", instruction_lazy="l")


@pytest.mark.parametrize("name", CASES)
def test_official_table(executor: Executor, area: Problem, name: str) -> None:
    """The nine completions whose official result is known, and how else a program can end."""
    code, official, strict, missing, value = CASES[name]
    found = executor.run(area, code)
    assert found.official == official
    assert found.strict_passed is strict, found.detail
    assert (None if found.missing is None else list(found.missing)) == missing
    assert found.excess == (None if value is None else pytest.approx(value, abs=1e-6))


def test_a_problem_that_cannot_be_judged_counts_for_no_answer(executor: Executor, area: Problem) -> None:
    odd = replace(area, id=7, after=GREET["before"], tests=GREET["tests"])
    found = [executor.run(odd, GREET[side]) for side in ("after", "before")]
    assert [one.official for one in found] == ["OK", "Exception"]
    assert [one.verdict for one in found] == [Verdict.INFRA, Verdict.INFRA]


def test_gold_run_passes_and_its_inverse_fails(
    bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = run(bench, tmp_path / "after", "--gold", "after")
    assert after["metrics"]["pass@1"]["value"] == after["metrics"]["official pass@1"]["value"] == 1
    assert after["metrics"]["pass@1"]["n"] == 6 and after["n_infra"] == 2 and after["infra_problems"] == [9]
    assert after["excess_code"]["value"] == 0 and after["excess_code"]["n_items"] == 6
    assert after["diff_ratio"]["max"] == 1
    assert after["extraction"] == {"fenced": 8}
    assert after["known_data"] is False
    said = capsys.readouterr().err
    assert "no_such_library_here" in said and "do not compare with published numbers" in said
    before = run(bench, tmp_path / "before", "--gold", "before")
    assert before["metrics"]["pass@1"]["value"] == 0
    assert before["excess_code"]["value"] is None
    assert before["diff_ratio"]["n"] == 0


def test_gold_actions_are_mined(bench: Path, tmp_path: Path) -> None:
    found = run(bench, tmp_path / "run", "--gold", "after", "--track", "actions", "--no-coverage")
    assert found["actions"]["rules_per_pass"]["n"] >= 4
    by_task = rows(tmp_path / "run")
    assert by_task["7_lazy#0"]["passed"] == 1 and by_task["7_lazy#0"]["n_rules"] >= 1


def answer_text(prompt: str, body: dict[str, Any]) -> str:
    which = next((p for p in (AREA, GREET, VLLM) if p["before"] in prompt), None)
    if which is None:
        return "```py\nx = 2\n```"
    if "with care" not in prompt:
        return "I would rather not."
    if which is GREET:
        return f"```\n{GREET['after']}\n```"
    if which is VLLM:
        return "```py\nimport os\nos._exit(0)\n```"
    return f"<think>```a```</think>\n```py\n{AREA['after']}\n```" if body["seed"] == 0 else "```py\nx\n```"


def test_text_track(bench: Path, tmp_path: Path, oracle: Oracle) -> None:
    oracle.answer = answer_text
    out = tmp_path / "run"
    options = ("--model", "m", "--base-url", oracle.url, "--n", "2", "--workers", "2", "--no-coverage")
    found = run(bench, out, *options)
    by_task = rows(out)
    assert by_task["2_descriptive#0"]["verdict"] == "ok"
    assert by_task["2_descriptive#1"]["verdict"] == "tests_failed"
    assert by_task["2_lazy#0"]["verdict"] == "no_action" and "no_fence" in by_task["2_lazy#0"]["detail"]
    assert by_task["9_lazy#0"]["verdict"] == "infra"
    assert by_task["78_descriptive#0"]["official_passed"] == 1 and by_task["78_descriptive#0"]["passed"] == 0
    assert found["false_passes"] == ["78_descriptive"]
    assert found["kinds"]["descriptive"]["metrics"]["pass@1"]["value"] == pytest.approx(0.5)
    assert found["kinds"]["lazy"]["metrics"]["pass@1"]["value"] == 0
    assert found["kinds"]["descriptive"]["metrics"]["official pass@1"]["value"] == pytest.approx(
        2.5 / 3, abs=1e-6
    )
    assert found["without_78"]["pass@1"]["n"] == 4
    assert set(found["by"]["change_kind"]) == {"adaptive", "corrective"}
    assert found["pass_at"]["pass@1"]["n"] == 6
    asked = oracle.n_requests
    again = run(bench, out, *options, "--rescore")
    assert again == found and oracle.n_requests == asked


def test_base_prompt_uses_completions_and_stops(bench: Path, tmp_path: Path, oracle: Oracle) -> None:
    stops: list[Any] = []

    def answer(prompt: str, body: dict[str, Any]) -> str:
        stops.append(body["stop"])
        return GREET["after"] + "\n" if GREET["before"] in prompt else ""

    oracle.answer = answer
    found = run(
        bench, tmp_path / "run", "--model", "m", "--base-url", oracle.url, "--n", "1", "--prompt", "base"
    )
    assert all(len(stop) == 8 for stop in stops)
    assert oracle.prompts[0].startswith("## Code Before:\n")
    by_task = rows(tmp_path / "run")
    assert by_task["7_lazy#0"]["passed"] == 1 and by_task["7_lazy#0"]["same_extraction"]
    assert by_task["2_lazy#0"]["verdict"] == "no_action"
    assert found["extraction"] == {"whole_text": 2, "empty": 6}


def action(rule_yaml: str) -> str:
    body = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": rule_yaml, "notes": ""}
    return f"<action>{json.dumps({'action': body})}</action>"


def test_action_track(bench: Path, tmp_path: Path, oracle: Oracle) -> None:
    def answer(prompt: str, body: dict[str, Any]) -> str:
        if GREET["before"] in prompt:
            return action("id: a\nlanguage: Python\nrule:\n  pattern: '\"hi \"'\nfix: '\"hello \"'\n")
        if AREA["before"] in prompt:
            return action("id: a\nlanguage: Python\nrule:\n  pattern: w * h\nfix: w * h * 1\n")
        return action("id: a\nlanguage: Python\nrule:\n  pattern: absent_name\nfix: y\n")

    oracle.answer = answer
    found = run(
        bench,
        tmp_path / "run",
        "--model",
        "m",
        "--base-url",
        oracle.url,
        "--n",
        "1",
        "--track",
        "actions",
        "--no-coverage",
    )
    by_task = rows(tmp_path / "run")
    assert by_task["7_lazy#0"]["verdict"] == "ok" and by_task["7_lazy#0"]["n_rules"] == 1
    assert by_task["2_lazy#0"]["verdict"] == "tests_failed" and by_task["2_lazy#0"]["valid"]
    assert by_task["78_lazy#0"]["verdict"] == "no_match" and by_task["78_lazy#0"]["official"] == "none"
    assert by_task["9_lazy#0"]["verdict"] == "infra"
    assert found["metrics"]["pass@1"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["actions"]["rules_per_task"]["mean"] == 1
    assert found["metrics"]["valid"]["value"] == 1
    # All three answers spell out this very code; one of them passes.
    assert found["metrics"]["literal"]["value"] == 1
    assert found["metrics"]["pass@1, not literal"]["value"] == 0


def test_killed_gold_run_goes_on(bench: Path, tmp_path: Path) -> None:
    """SIGKILL while programs run: the rest is done on resume, and nothing of the sandbox is left."""
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "rulewright",
        "eval",
        "canitedit",
        "--input",
        str(bench),
        "--out",
        str(out),
    ]
    process = subprocess.Popen([*command, "--gold", "after", "--no-coverage"], stderr=subprocess.DEVNULL)
    rows_path = out / "rows.jsonl"
    assert wait_until(lambda: rows_path.exists() and rows_path.read_text().count("\n"), process)
    process.kill()
    process.wait()
    kept = rows_path.read_text().count("\n")
    found = run(bench, out, "--gold", "after", "--no-coverage")
    assert 1 <= kept <= 8 and len(rows(out)) == 8
    assert found["verdicts"] == {"ok": 6, "infra": 2}


def test_a_model_that_never_passes_gives_a_result(bench: Path, tmp_path: Path, oracle: Oracle) -> None:
    oracle.answer = lambda prompt, body: "no"
    found = run(bench, tmp_path / "run", "--model", "m", "--base-url", oracle.url, "--n", "1")
    assert found["metrics"]["pass@1"]["value"] == 0 and found["excess_code"]["value"] is None


def test_a_file_that_is_none_leaves_the_folder_to_the_right_one(
    bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, out = tmp_path / "wrong.jsonl", tmp_path / "run"
    wrong.write_text('{"id": 1, "pre": "x", "metadata": {}}\n')
    assert main(["eval", "canitedit", "--input", str(wrong), "--out", str(out), "--gold", "after"]) == 2
    assert "no column" in capsys.readouterr().err and not out.exists()
