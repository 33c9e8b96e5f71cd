"""The table of methods: jobs in order, one folder each, and a page that says no more than the rows do."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path
from typing import Any

import pytest

from rulewright import cli, config, jsonl, matrix, shipped
from rulewright.commands import matrix as command
from rulewright.demo import Places, Stage, run_stages
from rulewright.errors import UsageError
from rulewright.matrix import Measured, SeededRun, TrainingMethod
from rulewright.reports import methods as page

START = TrainingMethod(name="start", about="nothing", model="{base}/m", seeds=[0])
SFT = TrainingMethod(name="sft", about="more", run=["train sft --model {base}/m --seed {seed} --out model"])
RL = TrainingMethod(name="rl", about="rewarded", run=["train srl --seed {seed} --out model"])
EVAL = Measured(name="held-out", about="Held out", run="eval actions --model {model} --input {base}/x.jsonl")


def test_a_run_that_is_cut_off_has_whole_seeds() -> None:
    order = [(job.method.name, job.seed) for job in matrix.jobs([START, SFT, RL], [1, 2])]
    assert order == [("start", 0), ("sft", 1), ("rl", 1), ("sft", 2), ("rl", 2)]


def test_a_job_trains_and_then_measures_its_own_model(tmp_path: Path) -> None:
    base = tmp_path / "a b"
    lines = [shlex.split(stage.run) for stage in matrix.stages(SeededRun(SFT, 7), [EVAL], base, tmp_path)]
    assert lines[0] == ["train", "sft", "--model", f"{base}/m", "--seed", "7", "--out", "model"]
    assert lines[1] == ["eval", "actions", "--model", "model", "--input", f"{base}/x.jsonl", "--out",
                        "measured/held-out"]  # fmt: skip
    [only] = [shlex.split(stage.run) for stage in matrix.stages(SeededRun(START, 0), [EVAL], base, tmp_path)]
    assert only[3] == f"{base}/m"


def test_another_start_makes_every_job_new(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished job"):
        matrix.stands_on(tmp_path)
    jsonl.write(tmp_path / "stages.jsonl", [{"digest": "a"}])
    before = matrix.stands_on(tmp_path)
    jsonl.write(tmp_path / "stages.jsonl", [{"digest": "b"}])
    assert matrix.stands_on(tmp_path) != before
    places = Places(tmp_path / "root", tmp_path, tmp_path)
    places.root.mkdir()
    stages = [Stage(name="v", run="--version")]
    run_stages(stages, places, stands_on=before)
    with pytest.raises(UsageError, match="contains a job with other stages"):
        run_stages(stages, places, stands_on=matrix.stands_on(tmp_path))


def test_what_several_methods_read_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[Path, str, str]] = []

    def recorded(stages: list[Stage], places: Places, device: str, stands_on: str) -> None:
        ran.append((places.root, stages[0].run, stands_on))
        row = {"digest": f"{places.root.name} {stages[0].run}", "command": stages[0].run, "seconds": 1.0}
        jsonl.write(places.root / "stages.jsonl", [row])

    monkeypatch.setattr(command, "run_stages", recorded)
    jsonl.write(tmp_path / "base/stages.jsonl", [{"digest": "a"}])
    reader = TrainingMethod(name="reader", about="r", run=["train srl --train {shared}/x.jsonl --out model"])
    settings: dict[str, Any] = {
        "root": tmp_path / "root", "base": tmp_path / "base", "report": tmp_path / "m.md", "seeds": [1, 2],
        "methods": [RL, reader], "measured": [EVAL], "configs": tmp_path,
    }  # fmt: skip
    made = tmp_path / "root/shared"
    command.run(command.Config(**settings, shared=["synth --siblings 4"]))
    assert [(root, run) for root, run, _ in ran if root == made] == [(made, "synth --siblings 4")]
    assert f"--train {made}/x.jsonl" in ran[2][1]
    # What the data was made by is part of what its readers stand on, and of nothing else.
    rl, before = ran[1][2], ran[2][2]
    ran.clear()
    command.run(command.Config(**settings, shared=["synth --siblings 5"]))
    assert ran[1][2] == rl and ran[2][2] != before
    ran.clear()
    command.run(command.Config(**settings, shared=["synth"], only=["rl"]))
    assert [root.parent.name for root, _, _ in ran] == ["rl", "rl"]
    with pytest.raises(UsageError, match=r"reads \{shared\}, which nothing makes"):
        command.run(command.Config(**settings))
    # A measurement that reads it needs it as a method does.
    ran.clear()
    elsewhere = Measured(name="other", about="Others", run="eval actions --model {model} --input {shared}/x")
    settings |= {"measured": [EVAL, elsewhere]}
    command.run(command.Config(**settings, shared=["synth --siblings 5"], only=["rl"], overwrite=True))
    assert [root for root, _, _ in ran][:2] == [made, tmp_path / "root/rl/1"] and ran[1][2] != rl


@pytest.mark.parametrize("name", ["tiny/matrix", "smollm2/matrix"])
def test_every_line_of_the_shipped_matrices_is_a_command(name: str, tmp_path: Path) -> None:
    loaded = config.load(command.Config, ["--config", name], "matrix")
    places = Places(tmp_path, shipped.locate(loaded.configs), tmp_path, 2)
    assert {job.method.name for job in matrix.jobs(loaded.methods, loaded.seeds)} >= {
        "stage1", "sft", "rft", "feedback", "srl-plain", "srl-gated", "srl-general", "grpo", "srl-grpo",
    }  # fmt: skip
    shared = matrix.shared_stages(loaded.shared, tmp_path)
    for job in matrix.jobs(loaded.methods, loaded.seeds[:1]):
        stages = matrix.stages(job, loaded.measured, tmp_path, tmp_path)
        for stage in [*shared, *stages]:
            words = places.fill(stage.run)
            n_words = 2 if " ".join(words[:2]) in cli.COMMANDS else 1
            entry = cli.COMMANDS[" ".join(words[:n_words])]
            module = __import__(f"rulewright.commands.{entry.module}", fromlist=["Config"])
            parsed = config.load(module.Config, words[n_words:], "x")
            assert "{" not in stage.run.replace("{configs}", "").replace("{threads}", "")
            # A stage that was killed is run again.
            assert getattr(parsed, "resume", True) or getattr(parsed, "overwrite", False)
        trained = [stage for stage in stages if "--out measured/" not in stage.run]
        assert not trained or " --out model " in trained[-1].run


def write_run(folder: Path, right: dict[str, list[int]], literal: float = 0.0) -> None:
    """An evaluation of actions: the samples of each task."""
    rows = [
        {"task": task, "sample": k, "group": f"g{int(task) % 20}", "verdict": "ok", "success": float(value),
         "literal": literal, "n_rules": 1, "flags": []}
        for task, samples in right.items()
        for k, value in enumerate(samples)
    ]  # fmt: skip
    jsonl.write(folder / "rows.jsonl", rows)
    jsonl.write_json(folder / "result.json", {"benchmark": "actions"})


def gathered(tmp_path: Path, best: bool = False) -> dict[str, Any]:
    rng = random.Random(3)
    base = {str(task): [int(rng.random() < 0.5), 0] for task in range(200)}
    better = {task: [1, 0] if int(task) % 4 == 0 else samples for task, samples in base.items()}
    other = {task: [int(rng.random() < 0.5), 0] for task in base}
    write_run(tmp_path / "start/0/held-out", base)
    write_run(tmp_path / "sft/1/held-out", better, literal=1.0)
    write_run(tmp_path / "sft/2/held-out", better)
    write_run(tmp_path / "rl/1/held-out", other)
    names = {"start": [0], "sft": [1, 2], "rl": [1, 2]}
    trained = [
        page.Trained(name, name, {seed: tmp_path / name / str(seed) for seed in seeds}, None)
        for name, seeds in names.items()
    ]
    return page.gather(trained, [page.Wanted("held-out", "Held out", best)], "start", "Some methods.")


def test_a_task_is_its_mean_over_samples_then_seeds(tmp_path: Path) -> None:
    found = gathered(tmp_path)
    [table] = found["measured"]
    by_name = {row["method"]: row for row in table["rows"]}
    assert by_name["start"]["paired"] is None
    assert by_name["sft"]["paired"]["low"] > 0 and by_name["sft"]["paired"]["n"] == 200
    assert len(by_name["sft"]["by_seed"]) == 2 and by_name["sft"]["literal"] == pytest.approx(0.5)
    assert by_name["rl"]["paired"]["low"] < 0 < by_name["rl"]["paired"]["high"]
    assert found["owed"] == ["rl, seed 2"]


def test_a_run_that_is_half_measured_says_what_is_missing(tmp_path: Path) -> None:
    write_run(tmp_path / "1/a", {"1": [1], "2": [0]})
    trained = [page.Trained("m", "M", {1: tmp_path / "1", 2: tmp_path / "2"}, None)]
    found = page.gather(trained, [page.Wanted("a", "A", False), page.Wanted("b", "B", False)], "m", "")
    assert found["owed"] == ["m, seed 1: b", "m, seed 2"]
    assert [table["name"] for table in found["measured"]] == ["a"]


def test_the_best_of_several_tries_counts(tmp_path: Path) -> None:
    mean, best = gathered(tmp_path / "a"), gathered(tmp_path / "b", best=True)
    first = [found["measured"][0]["rows"][0]["estimate"]["value"] for found in (mean, best)]
    assert first[1] == pytest.approx(2 * first[0], abs=1e-5)


def test_the_page_says_what_is_shown_and_what_is_not(tmp_path: Path) -> None:
    found = gathered(tmp_path)
    said = page.learned(found)
    assert said[0].startswith("Held out: above start: sft +")
    assert "no difference to start is shown for rl (finds " in said[1]
    page.write(found, tmp_path / "out/methods.md")
    text = (tmp_path / "out/methods.md").read_text()
    assert "Not measured yet: rl, seed 2." in text
    assert all(f"- {sentence}" in text for sentence in said)
    assert json.loads((tmp_path / "out/methods.json").read_text()) == found


def matrix_file(tmp_path: Path, methods: list[dict[str, Any]]) -> Path:
    path = tmp_path / "matrix.yaml"
    values = {
        "root": str(tmp_path / "root"), "base": str(tmp_path / "base"), "configs": str(tmp_path),
        "report": str(tmp_path / "methods.md"), "methods": methods,
        "measured": [{"name": "m", "about": "M", "run": "version"}],
    }  # fmt: skip
    path.write_text(json.dumps(values))
    return path


def test_what_cannot_be_a_matrix_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = {"name": "a", "about": "A", "run": ["--version"]}
    assert cli.main(["matrix"]) == 2
    assert "--config tiny/matrix" in capsys.readouterr().err
    assert cli.main(["matrix", "--config", str(matrix_file(tmp_path, [one, one]))]) == 2
    assert "two methods are called a" in capsys.readouterr().err
    path = str(matrix_file(tmp_path, [one]))
    assert cli.main(["matrix", "--config", path, "--only", "b"]) == 2
    assert "no method 'b'" in capsys.readouterr().err
    assert cli.main(["matrix", "--config", path]) == 2
    assert "run `make demo`" in capsys.readouterr().err


def test_a_run_of_which_nothing_counts_stops_no_page(tmp_path: Path) -> None:
    write_run(tmp_path / "1/a", {"1": [1], "2": [0]})
    write_run(tmp_path / "2/a", {"1": [1]})
    text = (tmp_path / "2/a/rows.jsonl").read_text()
    (tmp_path / "2/a/rows.jsonl").write_text(text.replace('"ok"', '"infra"'))
    trained = [page.Trained("m", "M", {1: tmp_path / "1", 2: tmp_path / "2"}, None)]
    [table] = page.gather(trained, [page.Wanted("a", "A", False)], "m", "")["measured"]
    assert table["rows"][0]["by_seed"] == [0.5]
