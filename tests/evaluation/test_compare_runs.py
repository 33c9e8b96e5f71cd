"""`compare` on run folders with known differences."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rulewright.cli import main


def save(folder: Path, rows: list[dict[str, Any]], benchmark: str = "actions") -> Path:
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "result.json").write_text(json.dumps({"benchmark": benchmark}))
    return folder


def rows(values: dict[str, float], **extra: Any) -> list[dict[str, Any]]:
    return [
        {
            "task": task, "sample": 0, "group": task[0], "family": "odd" if int(task[1:]) % 2 else "even",
            "verdict": "ok" if value else "wrong_result", "success": value, **extra,
        }
        for task, value in values.items()
    ]  # fmt: skip


def compared(a: Path, b: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["compare", str(a), str(b), "--json", *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_clear_gain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(0)
    tasks = [f"{group}{i}" for group in "abcdefghijklmnopqrstuvwxyz" for i in range(8)]
    before = {task: float(rng.random() < 0.4) for task in tasks}
    after = {task: 1.0 if rng.random() < 0.3 else value for task, value in before.items()}
    found = compared(save(tmp_path / "a", rows(before)), save(tmp_path / "b", rows(after)), capsys)
    assert found["metric"] == "success" and found["n_tasks"] == 208 and found["n_groups"] == 26
    assert found["paired"]["low"] > 0.05 and found["paired"]["p_value"] < 0.001
    assert found["mcnemar_p"] < 0.001 and found["n_lost"] == 0
    assert found["n_gained"] == len(found["gained"]) == sum(after[t] > before[t] for t in tasks)
    assert found["equivalence"]["not_worse"] and not found["equivalence"]["equivalent"]
    assert set(found["by"]["family"]) == {"even", "odd"}
    assert found["paired"]["difference"] == pytest.approx(
        found["mean_b"]["value"] - found["mean_a"]["value"], abs=1e-5
    )


def test_swapping_the_runs_swaps_the_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "a", rows({"a1": 1, "b2": 0, "c3": 1, "d4": 0}))
    b = save(tmp_path / "b", rows({"a1": 0, "b2": 1, "c3": 1, "d4": 1}))
    forward, backward = compared(a, b, capsys), compared(b, a, capsys)
    assert forward["paired"]["difference"] == -backward["paired"]["difference"] == 0.25
    assert forward["gained"] == backward["lost"] == ["b2", "d4"]


def test_only_common_tasks_count_and_infra_never_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = save(tmp_path / "a", rows({"a1": 1, "b2": 0, "c3": 1}))
    other = [*rows({"a1": 1, "b2": 1, "d4": 1}), *rows({"c3": 0})]
    other[-1]["verdict"] = "infra"
    found = compared(a, save(tmp_path / "b", other), capsys)
    assert (found["n_tasks"], found["only_in_a"], found["only_in_b"]) == (2, 1, 1)


def test_many_samples_have_no_mcnemar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = rows({"a1": 1, "b2": 0}) + rows({"a1": 0, "b2": 0})
    found = compared(save(tmp_path / "a", several), save(tmp_path / "b", rows({"a1": 1, "b2": 1})), capsys)
    assert found["mcnemar_p"] is None
    assert found["mean_a"]["value"] == 0.25


def test_another_metric_and_words_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "a", rows({"a1": 1, "b2": 1}, change_similarity=0.5))
    b = save(tmp_path / "b", rows({"a1": 1, "b2": 1}, change_similarity=0.75))
    assert compared(a, b, capsys, "--metric", "change_similarity")["paired"]["difference"] == 0.25
    assert compared(a, b, capsys)["other_metrics"]["change_similarity"]["difference"] == 0.25
    assert main(["compare", str(a), str(b)]) == 0
    said = capsys.readouterr().err
    assert "2 tasks in 2 groups" in said and "caution: with 2 groups" in said
    assert "B is no worse than A by 3 points: not shown" in said


def test_a_field_is_a_number_where_it_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "a", [*rows({"a1": 1}, cost=4), *rows({"b2": 1}, cost="unknown")])
    b = save(tmp_path / "b", rows({"a1": 1, "b2": 1}, cost=0))
    assert main(["compare", str(a), str(b), "--metric", "cost"]) == 0
    said = capsys.readouterr().err
    assert "-4.00" in said and "gained" not in said, "tasks are gained by a rate only"


def test_what_too_few_groups_would_never_find_is_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = save(tmp_path / "a", rows({"a1": 1, "b2": 0})), save(tmp_path / "b", rows({"a1": 1, "b2": 1}))
    assert main(["compare", str(a), str(b)]) == 0
    assert "would find (80 %): none" in capsys.readouterr().err


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "runs" / "a", rows({"a1": 1}))
    b = save(tmp_path / "runs" / "b", rows({"z9": 1}))
    assert main(["compare", str(a), str(b)]) == 2
    assert "share no task" in capsys.readouterr().err
    assert main(["compare", str(tmp_path / "runs"), str(b)]) == 2
    assert f"one of {a}" in capsys.readouterr().err
    assert main(["compare", str(a), str(a), "--metric", "absent"]) == 2


def test_all_headline_measures_at_once_and_what_is_no_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = save(tmp_path / "a", rows({"a1": 1, "b2": 1, "c3": 0}, change_similarity=0.5, n_rules=3, flags=[]))
    b = save(tmp_path / "b", rows({"a1": 1, "b2": 1, "c3": 1}, change_similarity=0.75, n_rules=1, flags=[]))
    found = compared(a, b, capsys)
    others = found["other_metrics"]
    assert set(others) == {"success_unflagged", "valid", "change_similarity", "rules per task"}
    assert others["rules per task"]["difference"] == -2 and others["rules per task"]["unit"] == "number"
    assert others["rules per task"]["low"] is None, "equal differences of a count have no interval"
    assert others["rules per task"]["mean_a"]["value"] == 3
    assert main(["compare", str(a), str(b)]) == 0
    said = capsys.readouterr().err
    assert "+33.3" in said and "-2.00" in said and "success_unflagged" in said
    assert compared(a, b, capsys, "--metric", "rules per task")["paired"]["difference"] == -2
    assert main(["compare", str(a), str(b), "--metric", "succes"]) == 2
    assert "did you mean 'success'" in capsys.readouterr().err
    other = save(tmp_path / "c", rows({"a1": 1}), "edits")
    assert main(["compare", str(a), str(other)]) == 2
    assert "compare runs of one benchmark" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "text", "says"),
    [
        ("rows.jsonl", '{"task_id": "t1", "success": true}\n', "rows.jsonl: a row without `task`"),
        ("rows.jsonl", "null\n", "rows.jsonl:1: expected a JSON object, got null"),
        ("result.json", "null", "result.json: expected a JSON object"),
    ],
)
def test_a_folder_that_holds_something_else_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str, text: str, says: str
) -> None:
    a, b = (save(tmp_path / name, rows({"a1": 1.0})) for name in "ab")
    (b / broken).write_text(text)
    assert main(["compare", str(a), str(b)]) in (1, 2)
    assert f"{b}/{says}" in capsys.readouterr().err


def test_a_run_that_is_being_written_is_compared_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = save(tmp_path / "a", rows({"a1": 1, "b2": 0}))
    b = save(tmp_path / "b", rows({"a1": 0, "b2": 1, "c3": 1}))
    (b / "result.json").unlink()
    text = (b / "rows.jsonl").read_text()
    (b / "rows.jsonl").write_text(text[:-20])
    assert compared(a, b, capsys)["n_tasks"] == 2
    # Of a finished run each line has to be whole.
    (b / "result.json").write_text(json.dumps({"benchmark": "actions"}))
    assert main(["compare", str(a), str(b)]) == 1
    assert "rows.jsonl:3: not JSON" in capsys.readouterr().err


def test_an_unfinished_run_of_the_miner_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mined = [
        {"benchmark": "mining", "id": name, "source": "s", "group": name, "tier": tier, "n_rules": 1,
         "shapes": ["pattern"], "n_chars": 9, "n_vars": 1, "strict": True}
        for name, tier in (("a", "train"), ("b", "literal"))
    ]  # fmt: skip
    a, b = save(tmp_path / "a", mined, "mining"), save(tmp_path / "b", mined, "mining")
    (b / "result.json").unlink()
    assert compared(a, b, capsys)["metric"] == "train_rate"


def test_a_field_that_no_row_has_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (save(tmp_path / name, rows({"a1": 1, "b2": 0})) for name in "ab")
    assert main(["compare", str(a), str(b), "--by", "familly"]) == 2
    assert "--by familly: no row has this field; did you mean 'family'?" in capsys.readouterr().err
