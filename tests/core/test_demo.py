"""The job runner: what is done is not done again, what changed is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from rulewright.demo import Places, Stage, digests, finished, owed, remove, run_stages
from rulewright.errors import RulewrightError, UsageError


@pytest.fixture
def places(tmp_path: Path) -> Places:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "a.yaml").write_text("seed: 1\n")
    root = tmp_path / "root"
    root.mkdir()
    return Places(root, configs, tmp_path)


SHOW_TABLE = Stage(name="table", run="--help")
SHOW_VERSION = Stage(name="version", run="--version")


def test_stages_run_once(places: Places, capfd: pytest.CaptureFixture[str]) -> None:
    first = run_stages([SHOW_VERSION, SHOW_TABLE], places)
    assert [row["name"] for row in first] == ["version", "table"]
    assert "rulewright 0" in capfd.readouterr().out
    assert run_stages([SHOW_VERSION, SHOW_TABLE], places) == first
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("already done") == 2


@pytest.mark.parametrize(("device", "seen"), [("cpu", ""), ("auto", "1")])
def test_a_demo_is_a_cpu_run_wherever_it_runs(
    places: Places, monkeypatch: pytest.MonkeyPatch, device: Literal["cpu", "auto"], seen: str
) -> None:
    """Python reads this file first, in every process: it tells what the stage is shown."""
    (places.configs / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "pathlib.Path(__file__).with_name('seen').write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(places.configs), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    run_stages([SHOW_VERSION], places, device)
    assert (places.configs / "seen").read_text() == seen


def test_a_changed_stage_makes_those_after_it_new(places: Places) -> None:
    stages = [SHOW_VERSION, Stage(name="b", run="x --config {configs}/a.yaml"), SHOW_TABLE]
    before = digests(stages, places)
    (places.configs / "a.yaml").write_text("seed: 2\n")
    after = digests(stages, places)
    assert before[0] == after[0]
    assert before[1] != after[1] and before[2] != after[2]


def test_a_failure_names_the_stage_and_the_command(places: Places) -> None:
    with pytest.raises(RulewrightError, match="'bad' ended with exit code 2") as caught:
        run_stages([SHOW_VERSION, Stage(name="bad", run="nonsense {start}")], places)
    assert f"rulewright nonsense {places.start}" in caught.value.hint
    assert len((places.root / "stages.jsonl").read_text().splitlines()) == 1


def test_what_may_fail_and_what_is_not_here_do_not_end_the_job(places: Places) -> None:
    rows = run_stages(
        [
            Stage(name="a", run="nonsense", may_fail=True),
            Stage(name="b", run="nonsense", needs="{start}/nowhere"),
            SHOW_VERSION,
        ],
        places,
    )
    assert "left_out" in rows[1]
    assert rows[2]["name"] == "version"


def test_a_stage_that_was_left_out_runs_once_its_path_is_there_and_what_follows_again(
    places: Places, capfd: pytest.CaptureFixture[str]
) -> None:
    stages = [SHOW_VERSION, Stage(name="b", run="--version", needs="{start}/late"), SHOW_TABLE]
    run_stages(stages, places)
    run_stages(stages, places)
    assert capfd.readouterr().err.count("already done") == 3
    (places.start / "late").touch()
    assert [stage.name for stage in owed(stages, places)] == ["b", "table"]
    rows = run_stages(stages, places)
    assert capfd.readouterr().err.count("already done") == 1
    assert "left_out" not in rows[1] and finished(places.root) == rows


def test_another_job_in_the_same_folder_is_refused(places: Places) -> None:
    run_stages([SHOW_VERSION], places)
    with pytest.raises(UsageError, match="other stages") as caught:
        run_stages([SHOW_TABLE], places)
    assert "--overwrite" in caught.value.hint


def test_only_a_job_is_removed_to_begin_anew(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    own = places.start / "own"
    own.mkdir()
    (own / "file").write_text("of a person")
    with pytest.raises(UsageError, match="has files, but no job"):
        remove(own)
    assert (own / "file").exists()
    run_stages([SHOW_VERSION], places)
    monkeypatch.chdir(places.root)
    with pytest.raises(UsageError, match="is the current folder"):
        remove(Path())
    monkeypatch.chdir(places.start)
    remove(places.root)
    remove(places.root)
    assert not places.root.exists()
