"""`eval edits` and `eval actions` against an endpoint, with real scoring; resume, rescore, faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.conftest import Oracle
from tests.waiting import wait_until

from rulewright import jsonl
from rulewright.cli import main
from rulewright.data.schemas import NormalizedRecord
from rulewright.prompts import fence


def run_edits(oracle: Any, records: Path, out: Path, *more: str) -> int:
    return main(
        ["eval", "edits", "--model", "oracle", "--base-url", oracle.url, "--input", str(records),
         "--out", str(out), "--set", "generator.max_retries=0", *more]
    )  # fmt: skip


def run_actions(oracle: Any, records: Path, out: Path, *more: str) -> int:
    return main(
        ["eval", "actions", "--model", "oracle", "--base-url", oracle.url, "--input", str(records), "--out",
         str(out), *more]
    )  # fmt: skip


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "result.json").read_text())


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


def without_time(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


@pytest.fixture
def edit_answers(oracle: Oracle, record_of: Callable[[str], NormalizedRecord]) -> Oracle:
    """Right for calls; for None: the input, no fence, and thinking with the right answer, in turn."""

    def answer(prompt: str, body: dict[str, Any]) -> str:
        record = record_of(prompt)
        number = int(record.instruction.split()[1].rstrip(":"))
        if number % 2 == 0:
            return fence(record.post, "python")
        wrong = [
            fence(record.pre, "python"),
            "I cannot.",
            f"<think>```x```</think>\n{fence(record.post, 'py')}",
        ]
        return wrong[number // 2 % 3]

    oracle.answer = answer
    return oracle


def test_edits_scores_and_breakdowns(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_edits(edit_answers, record_file, tmp_path / "run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == result(tmp_path / "run")
    assert found["n_tasks"] == 12
    assert found["metrics"]["exact"]["value"] == pytest.approx(8 / 12, abs=1e-6)
    assert found["verdicts"] == {"ok": 8, "no_action": 2, "no_change": 2}
    assert found["by"]["family"]["rename-call"]["exact"]["value"] == 1
    assert found["by"]["family"]["is-none"]["exact"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["repeat_input"]["exact"]["value"] == 0
    assert found["repeat_input"]["change_similarity"]["value"] == 0
    assert found["repeat_input"]["file_similarity"]["value"] > 0.4
    exact = found["metrics"]["exact"]
    assert exact["low"] < exact["value"] < exact["high"] and exact["n_groups"] == 4
    assert {len(row["prompt_digest"]) for row in rows(tmp_path / "run")} == {16}


def test_a_finished_run_asks_nothing_and_rescoring_changes_nothing(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out) == 0
    before, asked = rows(out), edit_answers.n_requests
    first = (out / "result.json").read_bytes()
    assert "already finished" not in capsys.readouterr().err
    assert run_edits(edit_answers, record_file, out) == 0
    assert f"{out}: this run is already finished" in capsys.readouterr().err
    assert run_edits(edit_answers, record_file, out, "--rescore") == 0
    assert edit_answers.n_requests == asked
    assert rows(out) == before and (out / "result.json").read_bytes() == first


def test_another_configuration_is_refused(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out) == 0
    assert run_edits(edit_answers, record_file, out, "--temperature", "0.5") == 2
    said = capsys.readouterr().err
    assert "temperature: was 0.0, now 0.5" in said and "--overwrite" in said
    assert run_edits(edit_answers, record_file, out, "--temperature", "0.5", "--overwrite") == 0


def test_faults_leave_answers_owed(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = edit_answers.answer
    edit_answers.answer = lambda prompt, body: 500 if "Edit 3" in prompt else good(prompt, body)
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out) == 1
    assert "1 of 12 tasks were not answered" in capsys.readouterr().err
    assert len(rows(out)) == 11 and not (out / "result.json").exists()
    assert run_edits(edit_answers, record_file, out, "--rescore") == 1
    assert "1 of 12 tasks have no saved answer" in capsys.readouterr().err
    edit_answers.answer, asked = good, edit_answers.n_requests
    assert run_edits(edit_answers, record_file, out) == 0
    assert edit_answers.n_requests == asked + 1
    assert result(out)["n_tasks"] == 12


def test_rescoring_where_nothing_was_asked_claims_no_folder(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out, "--rescore") == 2
    assert f"{out}: contains no saved answers" in capsys.readouterr().err
    assert not out.exists()


def test_what_the_server_refuses_is_infra_and_not_counted(
    edit_answers: Oracle, record_file: Path, tmp_path: Path
) -> None:
    good = edit_answers.answer
    edit_answers.answer = lambda prompt, body: 400 if "Edit 3" in prompt else good(prompt, body)
    assert run_edits(edit_answers, record_file, tmp_path / "run") == 0
    found = result(tmp_path / "run")
    assert found["verdicts"]["infra"] == 1 and found["n_infra"] == 1 and found["n_tasks"] == 11
    assert run_edits(edit_answers, record_file, tmp_path / "run", "--rescore") == 0
    assert result(tmp_path / "run") == found


def test_an_evaluation_of_refusals_alone_fails(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However few they are: no task was measured."""
    good = edit_answers.answer
    edit_answers.answer = lambda prompt, body: 400
    out = tmp_path / "run"
    for _ in range(2):
        assert run_edits(edit_answers, record_file, out, "--limit", "2") == 1
        assert "the endpoint refused every request (last: HTTP 400" in capsys.readouterr().err
        assert not (out / "result.json").exists()
    edit_answers.answer = good
    assert run_edits(edit_answers, record_file, out, "--limit", "2", "--overwrite") == 0
    assert result(out)["n_tasks"] == 2


def test_several_answers_that_would_be_the_same_are_refused(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_edits(edit_answers, record_file, tmp_path / "run", "--n", "4") == 2
    assert "--n 4 at temperature 0 asks for the same answer 4 times" in capsys.readouterr().err
    assert not (tmp_path / "run").exists() and not edit_answers.n_requests


def test_bad_lines_are_set_aside_with_reasons(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = record_file.read_text()
    record_file.write_text(text + '{"instruction": "x"}\nnot json\n' + text.splitlines()[0] + "\n")
    assert run_edits(edit_answers, record_file, tmp_path / "run") == 0
    found = result(tmp_path / "run")
    assert found["skipped"] == {"invalid": 2, "duplicate_id": 1}
    assert "left out: invalid 2, duplicate_id 1" in capsys.readouterr().err
    rejects = [json.loads(line) for line in (tmp_path / "run" / "rejects.jsonl").read_text().splitlines()]
    assert [r["line"] for r in rejects] == [13, 14]


def test_limit_is_stable_when_data_is_added(edit_answers: Oracle, record_file: Path, tmp_path: Path) -> None:
    assert run_edits(edit_answers, record_file, tmp_path / "a", "--limit", "5") == 0
    five = {row["task"] for row in rows(tmp_path / "a")}
    lines = record_file.read_text().splitlines(keepends=True)
    record_file.write_text("".join(line for line in reversed(lines)))
    assert run_edits(edit_answers, record_file, tmp_path / "b", "--limit", "5") == 0
    assert {row["task"] for row in rows(tmp_path / "b")} == five and len(five) == 5


def test_no_group_gives_more_than_its_share(edit_answers: Oracle, record_file: Path, tmp_path: Path) -> None:
    text = record_file.read_text()
    record_file.write_text(text.replace('"group1"', '"group0"').replace('"group2"', '"group0"'))
    assert run_edits(edit_answers, record_file, tmp_path / "run", "--per-group", "2", "--limit", "3") == 0
    groups = Counter(row["group"] for row in rows(tmp_path / "run"))
    assert groups.total() == 3 and set(groups) == {"group0", "group3"}


def test_samples_and_pass_at_k(
    oracle: Oracle, record_file: Path, record_of: Callable[[str], NormalizedRecord], tmp_path: Path
) -> None:
    def answer(prompt: str, body: dict[str, Any]) -> str:
        record = record_of(prompt)
        return fence(record.post if body["seed"] % 5 == 0 else record.pre, "python")

    oracle.answer = answer
    out = tmp_path / "run"
    assert run_edits(oracle, record_file, out, "--n", "5", "--temperature", "1", "--limit", "4") == 0
    found = result(out)
    assert found["n_samples"] == 20
    assert found["pass_at"]["pass@1"]["value"] == pytest.approx(0.2)
    assert found["pass_at"]["pass@5"]["value"] == 1
    assert [(r["task"], r["sample"]) for r in rows(out)][:5] == [(rows(out)[0]["task"], k) for k in range(5)]


def test_killed_run_resumes_to_the_same_rows(
    oracle: Oracle, record_file: Path, record_of: Callable[[str], NormalizedRecord], tmp_path: Path
) -> None:
    """SIGKILL in the middle: nothing answered is asked again, and the rows come out the same."""

    def answer(prompt: str, body: dict[str, Any]) -> str:
        time.sleep(0.1)
        return fence(record_of(prompt).post, "python")

    oracle.answer = answer
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_edits(oracle, record_file, whole) == 0
    command = [
        sys.executable, "-m", "rulewright", "eval", "edits", "--model", "oracle", "--base-url", oracle.url,
        "--input", str(record_file), "--out", str(killed), "--set", "generator.max_retries=0",
        "--set", "generator.concurrency=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    written = killed / "rows.jsonl"
    assert wait_until(lambda: written.exists() and written.read_bytes().count(b"\n") >= 3, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len((killed / "rows.jsonl").read_text().splitlines())
    assert 3 <= kept < 12
    with (killed / "rows.jsonl").open("a") as stream:
        stream.write('{"task": "torn')
    asked = oracle.n_requests
    assert run_edits(oracle, record_file, killed, "--set", "generator.concurrency=3") == 0
    assert oracle.n_requests - asked == 12 - kept
    assert without_time(rows(killed)) == without_time(rows(whole))


def test_local_checkpoint_that_was_trained_again_is_refused(
    record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    out = tmp_path / "run"
    out.mkdir()
    # A run that was cut after its first answer, by another checkpoint of the same name.
    command = ["eval", "edits", "--model", str(folder), "--input", str(record_file), "--out", str(out)]
    (out / "rows.jsonl").write_text('{"task": "t", "sample": 0, "prompt_digest": "x"}\n')
    assert main(command) == 2, "the folder holds no weights"
    capsys.readouterr()
    (folder / "config.json").write_text('{"changed": true}')
    assert main(command) == 2
    assert "has changed since" in capsys.readouterr().err


ANSWERS = {
    0: lambda gold, record: gold,
    2: lambda gold, record: f"<think>rename</think>\n{gold}\n",
    4: lambda gold, record: "I would rename the function.",
    6: lambda gold, record: gold + gold,
    8: lambda gold, record: gold.replace("plus", "minus"),
    10: lambda gold, record: gold.replace("add(", "absent(").replace("$A", "a").replace("$B", "b"),
    1: lambda gold, record: "<action>{not json</action>",
    3: lambda gold, record: gold.replace("pattern: $A == None", "kind: no_such_kind"),
    5: lambda gold, record: gold.replace("$A is None", "$A == None"),
    7: lambda gold, record: gold.removesuffix("</action>"),
    9: lambda gold, record: "",
    11: lambda gold, record: json.loads(record.metadata.action)["action"]["rule_yaml"],
}


def test_actions_are_judged_and_counted(
    oracle: Oracle,
    record_file: Path,
    record_of: Callable[[str], NormalizedRecord],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(prompt: str, body: dict[str, Any]) -> str:
        record = record_of(prompt)
        number = int(record.instruction.split()[1].rstrip(":"))
        return ANSWERS[number](f"<action>{record.metadata.action}</action>", record)

    oracle.answer = answer
    out = tmp_path / "run"
    assert run_actions(oracle, record_file, out) == 0
    found = result(out)
    said = capsys.readouterr().err
    assert "success" in said and "rules per valid action" in said
    by_number = {
        int(oracle_text.split()[1].rstrip(":")): row for oracle_text, row in _numbered(out, record_file)
    }
    assert {n: row["verdict"] for n, row in by_number.items() if row["verdict"] == "ok"} == {0: "ok", 2: "ok"}
    assert by_number[4]["verdict"] == by_number[9]["verdict"] == by_number[11]["verdict"] == "no_action"
    assert by_number[6]["verdict"] == "multiple_actions"
    assert by_number[8]["verdict"] == "wrong_result" and 0 < by_number[8]["change_similarity"] < 1
    assert by_number[10]["verdict"] == "no_match"
    assert by_number[1]["verdict"] == "bad_json"
    assert by_number[3]["verdict"] == "bad_rule"
    assert by_number[5]["verdict"] == "no_change"
    assert found["metrics"]["success"]["value"] == pytest.approx(2 / 12, abs=1e-6)
    assert found["rules_per_task"]["median"] == 1
    assert by_number[0]["n_matches"] == 2 and by_number[0]["n_rules"] == 1
    assert found["metrics"]["valid"]["value"] == pytest.approx(5 / 12, abs=1e-6)
    assert {n for n, row in by_number.items() if row["literal"]} == {10}
    assert found["metrics"]["literal"]["value"] == pytest.approx(1 / 12, abs=1e-6)
    assert found["metrics"]["success_not_literal"]["value"] == pytest.approx(2 / 12, abs=1e-6)
    first = (out / "result.json").read_bytes()
    assert run_actions(oracle, record_file, out, "--rescore") == 0
    assert (out / "result.json").read_bytes() == first


def test_scoring_again_never_removes_the_answers(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out) == 0
    before = rows(out)
    assert run_edits(edit_answers, record_file, out, "--rescore", "--overwrite") == 2
    assert "leave out --overwrite" in capsys.readouterr().err
    assert rows(out) == before


def test_one_round_of_repair_asks_only_what_failed(
    oracle: Oracle,
    record_file: Path,
    record_of: Callable[[str], NormalizedRecord],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(prompt: str, body: dict[str, Any]) -> str:
        record = record_of(prompt)
        gold = f"<action>{record.metadata.action}</action>"
        number = int(record.instruction.split()[1].rstrip(":"))
        if number == 1:
            return gold.replace("$A is None", "not $A")  # a wrong result, whatever it is told
        return gold if "<feedback>" in prompt or number > 3 else gold.replace("add(", "nothing(")

    oracle.answer = answer
    assert run_actions(oracle, record_file, tmp_path / "first") == 0
    asked = oracle.n_requests
    out = tmp_path / "repaired"
    assert run_actions(oracle, record_file, out, "--after", str(tmp_path / "first")) == 0
    # Two of the first four failed at rules that match nothing, one at its result.
    assert oracle.n_requests == asked + 3
    told = [prompt for prompt in oracle.prompts if "<feedback>" in prompt]
    assert sum("<feedback>no_match: " in prompt for prompt in told) == 2
    assert sum("<feedback>wrong_result: the result is not what was asked for<" in p for p in told) == 1
    assert result(tmp_path / "first")["metrics"]["success"]["value"] == pytest.approx(9 / 12)
    assert result(out)["metrics"]["success"]["value"] == pytest.approx(11 / 12, abs=1e-6)
    before = rows(out)
    assert run_actions(oracle, record_file, out, "--after", str(tmp_path / "first"), "--rescore") == 0
    assert rows(out) == before and oracle.n_requests == asked + 3
    assert "other prompts" not in capsys.readouterr().err


def test_repair_needs_a_run_of_one_answer_a_task(
    oracle: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_actions(oracle, record_file, tmp_path / "b", "--after", str(tmp_path / "none")) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert run_actions(oracle, record_file, tmp_path / "two", "--n", "2", "--temperature", "1") == 0
    assert run_actions(oracle, record_file, tmp_path / "b", "--after", str(tmp_path / "two")) == 2
    assert "several answers to a task" in capsys.readouterr().err


def _numbered(out: Path, record_file: Path) -> list[tuple[str, dict[str, Any]]]:
    instructions = {
        (r := json.loads(line))["metadata"]["id"]: r["instruction"]
        for line in record_file.read_text().splitlines()
    }
    return [(instructions[row["task"]], row) for row in rows(out)]


def test_records_without_an_action_are_left_out_unless_wanted(
    oracle: Oracle, record_file: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in record_file.read_text().splitlines()]
    del lines[0]["metadata"]["action"]
    record_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    oracle.answer = lambda prompt, body: "no"
    assert run_actions(oracle, record_file, tmp_path / "a") == 0
    assert result(tmp_path / "a")["skipped"] == {"no_action": 1}
    assert run_actions(oracle, record_file, tmp_path / "b", "--no-with-action") == 0
    assert result(tmp_path / "b")["n_tasks"] == 12


def test_missing_input_and_missing_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "edits", "--model", "m", "--base-url", "http://x/v1", "--input", "absent"]) == 2
    assert "absent: no such data file" in capsys.readouterr().err
    path = tmp_path / "r.jsonl"
    path.write_text("")
    command = ["eval", "edits", "--input", str(path), "--out", str(tmp_path / "o")]
    assert main(command) == 2
    assert "no model is named" in capsys.readouterr().err
    assert main([*command, "--model", "models/absent"]) == 2
    assert "no such checkpoint folder" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert main([*command, "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]) == 2
    assert "no record to evaluate on" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["edits", "actions", "canitedit", "refactor"])
def test_help_is_quick_and_imports_little(name: str, root: Path) -> None:
    code = (
        "import sys; from rulewright.cli import main\n"
        f"try: main(['eval', '{name}', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'numpy', 'httpx', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, stdout=subprocess.DEVNULL)


def test_answers_to_other_prompts_outlive_a_rescoring(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release that words a prompt in another way must not cost the answers that are paid for."""
    out = tmp_path / "run"
    assert run_edits(edit_answers, record_file, out) == 0
    old = [{**row, "prompt_digest": "0" * 16} for row in rows(out)]
    jsonl.write(out / "rows.jsonl", old)
    assert run_edits(edit_answers, record_file, out, "--rescore") == 1
    assert "12 of 12 tasks have no saved answer" in capsys.readouterr().err
    assert rows(out) == old and (out / "result.json").exists()


def test_a_second_try_asks_what_could_not_be_judged_as_it_was(
    oracle: Oracle, record_file: Path, record_of: Callable[[str], NormalizedRecord], tmp_path: Path
) -> None:
    gold = lambda prompt, body: f"<action>{record_of(prompt).metadata.action}</action>"  # noqa: E731
    oracle.answer = lambda prompt, body: 400 if "Edit 3" in prompt else gold(prompt, body)
    assert run_actions(oracle, record_file, tmp_path / "first") == 0
    oracle.answer, asked = gold, oracle.n_requests
    out = tmp_path / "again"
    assert run_actions(oracle, record_file, out, "--after", str(tmp_path / "first")) == 0
    assert oracle.n_requests == asked + 1 and "<feedback>" not in oracle.prompts[-1]
    assert result(out)["metrics"]["success"]["value"] == 1


def test_a_second_try_follows_a_first_of_the_same_benchmark(
    edit_answers: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_edits(edit_answers, record_file, tmp_path / "first") == 0
    assert run_actions(edit_answers, record_file, tmp_path / "again", "--after", str(tmp_path / "first")) == 2
    assert "is a run of 'edits'" in capsys.readouterr().err


def test_data_that_cannot_be_used_cost_neither_a_folder_nor_an_earlier_run(
    oracle: Oracle, record_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, empty = tmp_path / "run", tmp_path / "empty.jsonl"
    empty.write_text("")
    assert run_actions(oracle, empty, out) == 2
    assert "no record to evaluate on" in capsys.readouterr().err
    assert not out.exists()
    assert run_actions(oracle, record_file, out) == 0
    before = rows(out)
    assert run_actions(oracle, empty, out, "--overwrite") == 2
    assert rows(out) == before and (out / "result.json").exists()
