"""Real runs of every `eval` command, and what the Stage 2 report makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.conftest import Oracle

from rulewright import cli
from rulewright.cli import main
from rulewright.data.schemas import NormalizedRecord
from rulewright.errors import RulewrightError
from rulewright.evaluation.measures import BENCHMARKS, estimates_of
from rulewright.prompts import fence
from rulewright.reports import benchmarks, stage2


def problem(number: int, before: str, after: str, check: str, kind: str) -> dict[str, Any]:
    return {
        "id": number, "name": f"p{number}", "full_name": f"{number}_p{number}", "before": before,
        "after": after, "tests": f"### START TESTS ###\nif True:  # pragma: no cover\n    {check}",
        "instruction_descriptive": f"Do the change number {number} with care.",
        "instruction_lazy": f"change {number}",
        "taxonomy": {"change_kind": kind, "libraries": [], "topic": "Math"},
    }  # fmt: skip


AREA = problem(
    2, "def area(w, h):\n    return w * h", "def area(w, h, n=1):\n    return w * h * n",
    "assert area(2, 3, 2) == 12", "adaptive",
)  # fmt: skip
GREET = problem(
    7, 'def greet(name):\n    return "hi " + name', 'def greet(name):\n    return "hello " + name',
    'assert greet("a") == "hello a"', "corrective",
)  # fmt: skip
TIMES = problem(
    11, "def twice(n):\n    return n + n", "def twice(n):\n    return 3 * n", "assert twice(4) == 12",
    "perfective",
)  # fmt: skip
PROBLEMS = (AREA, GREET, TIMES)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS))
    return path


def rule(pattern: str, fix: str) -> str:
    text = f"id: r\nlanguage: Python\nrule:\n  pattern: {json.dumps(pattern)}\nfix: {json.dumps(fix)}\n"
    action = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": text, "notes": ""}
    return f"<action>{json.dumps({'action': action})}</action>"


def canitedit_answer(prompt: str, body: dict[str, Any]) -> str:
    """base: nothing right; sft: greetings; srl: greetings and, asked at length, areas."""
    if GREET["before"] in prompt and body["model"] != "base":
        return rule('"hi " + $A', '"hello " + $A')
    if AREA["before"] in prompt and body["model"] == "srl" and "with care" in prompt:
        one = "def area(w, h):\n    return w * h"
        return rule(one, one.replace("h):", "h, n=1):").replace("w * h", "w * h * n"))
    return rule("$A * $B", "$B * $A") if "area" in prompt else "I do not know."


def report(tmp_path: Path, *more: str) -> tuple[int, Path]:
    out = tmp_path / "stage2.md"
    code = main(
        ["report", "stage2", "--evals", str(tmp_path / "runs"), "--processed", str(tmp_path / "none"),
         "--models", str(tmp_path / "models/sft"), str(tmp_path / "models/srl"), "--out", str(out), *more]
    )  # fmt: skip
    return code, out


def test_three_models_are_compared_and_stand_side_by_side_in_the_report(
    oracle: Oracle, bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle.answer = canitedit_answer
    arguments = [
        "eval", "canitedit", "--input", str(bench), "--track", "actions", "--base-url", oracle.url,
        "--models", "base", "sft", "srl", "--out", str(tmp_path / "runs"), "--n", "1",
        "--temperature", "0", "--no-coverage",
    ]  # fmt: skip
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    values = [run["metrics"]["pass@1"]["value"] for run in found["runs"]]
    assert values == [0, pytest.approx(2 / 6, abs=1e-6), pytest.approx(3 / 6, abs=1e-6)]
    ends = [(Path(c["a"]).name, Path(c["b"]).name) for c in found["comparisons"]]
    assert ends == [("base", "sft"), ("base", "srl"), ("sft", "srl")]
    last = found["comparisons"][-1]
    assert last["metric"] == "pass@1" and last["paired"]["difference"] == pytest.approx(1 / 6, abs=1e-6)
    assert last["other_metrics"].keys() >= {"official pass@1", "rules per task", "changed lines", "valid"}
    assert last["by"]["kind"]["descriptive"]["difference"] == pytest.approx(1 / 3, abs=1e-6)
    assert last["by"]["kind"]["lazy"]["difference"] == 0
    asked = oracle.n_requests
    assert main(arguments) == 0 and oracle.n_requests == asked, "finished runs are only shown"
    said = capsys.readouterr().err
    assert said.count("B − A") >= 3 and "rules per task" in said

    code, out = report(tmp_path)
    assert code == 0
    page, html = out.read_text(), out.with_suffix(".html").read_text()
    gathered = json.loads(out.with_suffix(".json").read_text())
    assert [run["name"] for run in gathered["evals"]] == ["base", "sft", "srl"]
    [(head, table)] = benchmarks.canitedit(gathered["evals"])
    assert head == ("", "base", "sft", "srl")
    lines = {line[0]: line[1:] for line in table}
    assert lines["pass@1, all"][0].startswith("0.0 [") and lines["pass@1, all"][2].startswith("50.0 [")
    assert lines["official pass@1, all"][1].startswith("33.3 [")
    assert lines["rules per task, all"][1].startswith("1.00")
    assert lines["changed lines, all"][0] == "–" and lines["changed lines, all"][1].startswith("2.00")
    assert lines["pass@1, corrective"][1].startswith("100.0 [")
    assert lines["pass@1, adaptive"][2].startswith("50.0 [")
    for word in ("### CanItEdit", "official pass@1, all", "ExcessCode, all", "pass@1, perfective"):
        assert word in page
    assert "<h3>CanItEdit</h3>" in html
    differences = {tuple(row[:4]): row for row in benchmarks.differences(gathered)}
    assert differences["sft", "srl", "pass@1", "all"][6].startswith("+16.7 [")
    assert differences["sft", "srl", "pass@1", "descriptive"][6].startswith("+33.3 [")
    assert differences["sft", "srl", "pass@1", "adaptive"][6].startswith("+50.0 [")
    assert ("base", "srl", "rules per task", "all") in differences
    capsys.readouterr()

    code, _ = report(tmp_path, "--compare", "sft:slr")
    said = capsys.readouterr().err
    assert code == 2 and "no run 'slr'" in said and "did you mean 'srl'" in said and "base, sft, srl" in said


def test_excess_code_is_in_results_comparisons_and_the_report(
    bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for gold in ("after", "before"):
        code = main(
            [
                "eval",
                "canitedit",
                "--input",
                str(bench),
                "--gold",
                gold,
                "--out",
                str(tmp_path / "runs" / gold),
            ]
        )
        assert code == 0
    result = json.loads((tmp_path / "runs/after/result.json").read_text())
    assert result["metrics"]["ExcessCode"]["n"] == result["excess_code"]["n_items"]
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "runs/before"), str(tmp_path / "runs/after"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paired"]["difference"] == 1
    code, out = report(tmp_path)
    assert code == 0
    page = out.read_text()
    assert "| after | canitedit text | gold: after | pass@1 | 100.0 [" in page
    assert "### CanItEdit" not in page, "prepared answers are no model"
    assert json.loads(out.with_suffix(".json").read_text())["comparisons"] == []


def test_held_out_edits_are_compared_with_stage_0(
    oracle: Oracle, record_file: Path, record_of: Callable[[str], NormalizedRecord], tmp_path: Path
) -> None:
    def answer(prompt: str, body: dict[str, Any]) -> str:
        record = record_of(prompt)
        knows = {"base": (), "sft_stage0": ("is-none", "rename-call"), "srl_stage2": ("rename-call",)}
        right = (record.metadata.provenance or {})["family"] in knows[body["model"]]
        return fence(record.post if right else record.pre, "python")

    oracle.answer = answer
    code = main(
        ["eval", "edits", "--models", "srl_stage2", "base", "sft_stage0", "--base-url", oracle.url, "--input",
         str(record_file), "--out", str(tmp_path / "runs")]
    )  # fmt: skip
    assert code == 0
    models = [tmp_path / "models/sft_stage0", tmp_path / "models/srl_stage2"]
    for path, task in zip(models, ("edit", "action"), strict=True):
        (path / "run").mkdir(parents=True)
        for name, value in (("config", {}), ("run", {}), ("result", {"task": task})):
            (path / f"run/{name}.json").write_text(json.dumps(value))
    found = stage2.gather(
        tmp_path / "none", models, tmp_path / "runs", tmp_path, tmp_path / "t.json", tmp_path / "m.json", []
    )
    assert found["reference"] == "sft_stage0"
    assert [run["name"] for run in found["evals"]] == ["base", "sft_stage0", "srl_stage2"]
    rows = {row[0]: row for row in benchmarks.regression(found)}
    assert rows["sft_stage0"][2:4] == ["made", "12"] and rows["sft_stage0"][6] == "–"
    assert rows["srl_stage2"][4].startswith("50.0 [") and rows["srl_stage2"][6].startswith("-50.0 [")
    assert rows["srl_stage2"][7].endswith("points")
    pairs = {(Path(c["a"]).name, Path(c["b"]).name) for c in found["comparisons"]}
    assert pairs == {("base", "sft_stage0"), ("base", "srl_stage2"), ("sft_stage0", "srl_stage2")}


RUNS: dict[str, Callable[..., list[str]]] = {
    "eval canitedit": lambda asked, bench, records, folder, edits: [
        *asked, "--input", str(bench), "--n", "1", "--no-coverage",
    ],
    "eval edits": lambda asked, bench, records, folder, edits: [*asked, "--input", str(records)],
    "eval actions": lambda asked, bench, records, folder, edits: [*asked, "--input", str(records)],
    "eval refactor": lambda asked, bench, records, folder, edits: [
        *asked, "--input", str(folder), "--track", "text",
    ],
    "eval mining": lambda asked, bench, records, folder, edits: [str(edits), "--n-background", "2"],
    "bench rules": lambda asked, bench, records, folder, edits: [*asked, "--input", str(edits)],
}  # fmt: skip


def test_every_eval_command_has_its_place_in_the_report(
    oracle: Oracle,
    bench: Path,
    record_file: Path,
    records: list[NormalizedRecord],
    tmp_path: Path,
) -> None:
    """A new `eval` command fails here until the report takes what it writes."""
    oracle.answer = lambda prompt, body: fence("x = 1\n", "python")
    task = tmp_path / "bench" / "shop_Basket_total"
    (task / ".docs").mkdir(parents=True)
    (task / ".docs/instructions.md").write_text("Make `total` a function.")
    (task / "shop.py").write_text("class Basket:\n    def total(self, items):\n        return sum(items)\n")
    (task / "shop_test.py").write_text(
        "method = 'total'\nmethod_children = 9\nclass_name = 'Basket'\nclass_children = 11\n"
    )
    edits = tmp_path / "edits.jsonl"
    rows = [
        {"id": f"e{i}", "source": "own", "language": "python", "instruction": r.instruction, "pre": r.pre,
         "post": r.post, "group": "g"}
        for i, r in enumerate(records[:3])
    ]  # fmt: skip
    edits.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # `bench build` makes the edits of a benchmark, and measures nothing.
    commands = [name for name in cli.COMMANDS if name.startswith(("eval ", "bench rules"))]
    assert set(commands) == set(RUNS)
    asked = ["--model", "m", "--base-url", oracle.url]
    for command in commands:
        out = tmp_path / "runs" / command.replace(" ", "_")
        more = RUNS[command](asked, bench, record_file, tmp_path / "bench", edits)
        assert main([*command.split(), *more, "--out", str(out)]) == 0, command
    code, out = report(tmp_path)
    assert code == 0
    page, html = out.read_text(), out.with_suffix(".html").read_text()
    taken = {run["benchmark"] for run in json.loads(out.with_suffix(".json").read_text())["evals"]}
    assert taken == set(BENCHMARKS)
    for command in commands:
        name = command.replace(" ", "_")
        assert f"\n| {name} | " in page and f"<td>{name}</td>" in html
    assert "### Rule miner" in page and "### Held-out text edits by source" in page


def test_a_result_that_no_table_takes_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RulewrightError, match="unknown benchmark 'sums'"):
        estimates_of({"benchmark": "sums", "metrics": {}}, "runs/x/result.json")
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("")
    (folder / "result.json").write_text(json.dumps({"benchmark": "canitedit", "metrics": {"passed": {}}}))
    assert report(tmp_path)[0] == 1
    said = capsys.readouterr().err
    assert "has no 'pass@1', the main measure of canitedit (it has passed)" in said and "--rescore" in said
    (folder / "result.json").write_text(json.dumps({"benchmark": "sums"}))
    assert report(tmp_path)[0] == 1
    assert "unknown benchmark 'sums'" in capsys.readouterr().err


def test_models_that_cannot_be_told_apart_are_refused(
    oracle: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["eval", "edits", "--base-url", oracle.url, "--input", str(record_file)]
    assert main([*asked, "--models", "a", "a"]) == 2
    assert main([*asked, "--models", "a", "b", "--model", "c"]) == 2
    assert "give every model once with --models" in capsys.readouterr().err
    assert oracle.n_requests == 0


def test_readiness_counts_our_failures_and_names_runs_of_several_processes() -> None:
    def found(infra: int, processes: int) -> dict[str, Any]:
        return {
            "evals": [{"result": {"verdicts": {"ok": 5, "infra": infra}}}, {"result": {}}],
            "srl_metrics": [
                {"kind": "train", "sampling/rollouts": 8.0, "unfiltered/infra_rate": 0.25},
                {"kind": "dev"},
            ],
            "models": [{"name": "grpo_a", "weights": [], "result": {"processes": processes}}],
            "trajectories": None,
        }

    assert stage2.executed(found(1, 1)) == (14, 3)
    load, several = stage2.readiness(found(1, 2))[-2:]
    assert not load["ok"] and load["seen"].startswith("14 answers") and "3 infra" in load["seen"]
    assert several["ok"] and several["seen"] == "grpo_a in 2 processes"
    assert not stage2.readiness(found(0, 1))[-1]["ok"]


def test_a_result_that_is_no_object_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "runs" / "x" / "result.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("null")
    assert report(tmp_path)[0] == 1
    assert "x/result.json: expected a JSON object" in capsys.readouterr().err
