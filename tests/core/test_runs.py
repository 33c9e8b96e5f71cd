"""The run directory: claims, resumption, identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from rulewright import jsonl
from rulewright.config import CommandConfig
from rulewright.errors import RulewrightError, UsageError
from rulewright.runs import RunDir, git_state


class Settings(CommandConfig):
    rate: float = 1.0
    name: str = ""
    seed: int = 0
    resume: bool = False
    overwrite: bool = False


def test_a_run_is_done_when_its_result_is_there(tmp_path: Path) -> None:
    run = RunDir.open(tmp_path / "run", Settings(seed=3))
    before = run.done
    run.log(step=1, loss=0.5)
    run.log(step=2, loss=0.25)
    with run.appender() as rows:
        rows.append({"task": "a"})
    run.finish({"loss": 0.25})
    assert (before, run.done) == (False, True)
    assert run.result() == {"loss": 0.25}
    assert [row["step"] for row in jsonl.read(run.path / "metrics.jsonl")] == [1, 2]
    facts = run.facts()
    assert facts["seed"] == 3
    assert facts["ended_at"] >= facts["started_at"]
    assert "rulewright" in facts["versions"]


def test_a_used_folder_is_refused_with_three_ways_out(tmp_path: Path) -> None:
    RunDir.open(tmp_path, Settings())
    RunDir.open(tmp_path, Settings()).finish({})  # an interrupted one continues by itself
    with pytest.raises(UsageError, match="contains a finished run") as caught:
        RunDir.open(tmp_path, Settings())
    assert all(way in caught.value.hint for way in ("--resume", "--overwrite", "another folder"))


def test_a_name_that_is_no_utf_8_is_noted_and_compared(tmp_path: Path) -> None:
    RunDir.open(tmp_path, Settings(name="caf\udce9.jsonl"))
    RunDir.open(tmp_path, Settings(name="caf\udce9.jsonl", resume=True))
    with pytest.raises(UsageError, match=r"name: was 'caf\\udce9.jsonl', now 'caf\\udce8.jsonl'"):
        RunDir.open(tmp_path, Settings(name="caf\udce8.jsonl", resume=True))


@pytest.mark.parametrize("name", ["config.json", "run.json", "result.json"])
def test_a_damaged_file_of_a_run_is_named(tmp_path: Path, name: str) -> None:
    RunDir.open(tmp_path, Settings()).finish({})
    (tmp_path / name).write_text("{")
    with pytest.raises(RulewrightError, match=name) as caught:
        RunDir.open(tmp_path, Settings(resume=True)).result()
    assert "--overwrite" in caught.value.hint


def test_resume_names_the_keys_that_differ(tmp_path: Path) -> None:
    RunDir.open(tmp_path, Settings())
    RunDir.open(tmp_path, Settings(resume=True))
    with pytest.raises(UsageError, match=r"rate: was 1\.0, now 2\.0"):
        RunDir.open(tmp_path, Settings(rate=2.0, resume=True))


def test_resume_names_keys_in_sections_and_lets_free_ones_differ(tmp_path: Path) -> None:
    class Nested(Settings):
        trainer: dict[str, float] = Field(default_factory=dict)
        resume: bool = True

    class Freer(Nested):
        def is_free(self, key: str) -> bool:
            return key == "trainer.log_steps" or super().is_free(key)

    RunDir.open(tmp_path, Nested(trainer={"rate": 1.0, "log_steps": 5}))
    changed = {"rate": 1.0, "log_steps": 7}
    with pytest.raises(UsageError, match=r"trainer\.log_steps: was 5\.0, now 7\.0"):
        RunDir.open(tmp_path, Nested(trainer=changed))
    RunDir.open(tmp_path, Freer(trainer=changed))
    with pytest.raises(UsageError, match=r"different configuration \(trainer\.rate: was 1\.0, now None\)"):
        RunDir.open(tmp_path, Freer())


def test_looking_changes_nothing(tmp_path: Path) -> None:
    RunDir.open(tmp_path, Settings()).finish({"a": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert RunDir.look(tmp_path, Settings(rate=2.0, overwrite=True)).done
    assert RunDir.look(tmp_path, Settings(resume=True)).done
    with pytest.raises(UsageError, match="finished run"):
        RunDir.look(tmp_path, Settings())
    assert not RunDir.look(tmp_path / "other", Settings()).done
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_resume_refuses_changed_inputs(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    RunDir.open(tmp_path / "run", Settings(), [data])
    data.write_text('{"a": 1}\n')
    with pytest.raises(UsageError, match="inputs have changed"):
        RunDir.open(tmp_path / "run", Settings(resume=True), [data])


def test_overwrite_removes_only_the_runs_own_files(tmp_path: Path) -> None:
    run = RunDir.open(tmp_path, Settings())
    run.finish({"x": 1})
    (tmp_path / "notes.txt").write_text("mine")
    again = RunDir.open(tmp_path, Settings(rate=2.0, overwrite=True))
    assert not again.done
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwrite_clears_before_it_claims_and_only_where_it_may(tmp_path: Path) -> None:
    state = tmp_path / "checkpoints"
    RunDir.open(tmp_path, Settings()).finish({})
    state.mkdir()
    with pytest.raises(UsageError):
        RunDir.open(tmp_path, Settings(), clear=state.rmdir)
    RunDir.open(tmp_path, Settings(resume=True), clear=state.rmdir)
    assert state.exists()
    RunDir.open(tmp_path, Settings(rate=2.0, overwrite=True), clear=state.rmdir)
    assert not state.exists()


def test_a_torn_row_is_owed_again(tmp_path: Path) -> None:
    run = RunDir.open(tmp_path, Settings())
    (tmp_path / "rows.jsonl").write_bytes(b'{"task": 1}\n{"task": 2')
    assert run.rows() == [{"task": 1}]


@pytest.mark.parametrize("script", [None, "exit 128"])  # not installed; a checkout that is another user's
def test_without_a_git_that_answers_nothing_is_said_of_the_code(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() == {"commit": None, "dirty": None}


def test_a_run_that_was_killed_before_it_began_binds_nobody(tmp_path: Path) -> None:
    RunDir.open(tmp_path, Settings(), {"data": "of yesterday"})
    (tmp_path / "config.json").unlink()  # it is written after run.json
    for _ in range(2):
        run = RunDir.open(tmp_path, Settings(), {"data": "of today"})
    assert run.facts()["inputs"] == {"data": "of today"}
