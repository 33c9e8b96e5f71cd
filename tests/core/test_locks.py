"""One writer at a time: between processes, after a kill, and in every command that writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.environment.tasks import record

from rulewright import cli
from rulewright.errors import UsageError
from rulewright.locks import Lock

HOLD = """
import sys, time
from pathlib import Path
from rulewright.locks import Lock
lock = Lock.take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start a process that holds the lock of a target."""
    running = []

    def hold(target: Path) -> subprocess.Popen[str]:
        child = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
        running.append(child)
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        return child

    yield hold
    for child in running:
        child.kill()
        child.wait()


def test_the_holder_is_named_and_a_kill_frees_the_lock(
    tmp_path: Path, holder: Callable[[Path], subprocess.Popen[str]]
) -> None:
    target = tmp_path / "new" / "rows.jsonl"
    child = holder(target)
    with pytest.raises(UsageError, match=f"another run is writing it: process {child.pid} on .*, since 20"):
        Lock.take(target)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with Lock.take(target) as lock:
        assert Lock.take(target) is lock, "the same process is given it again"
        assert json.loads((target.parent / ".rows.jsonl.lock").read_text())["pid"] == os.getpid()
    assert list(target.parent.iterdir()) == []
    lock.release()
    other = holder(target)
    with pytest.raises(UsageError, match=str(other.pid)):
        Lock.take(target)


@pytest.mark.parametrize("spelled", ["x/.", "y/../x", "link", "x/../link"])
def test_another_spelling_of_a_folder_is_the_same_lock(
    spelled: str, tmp_path: Path, holder: Callable[[Path], subprocess.Popen[str]]
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("x")
    holder(tmp_path / "x")
    with pytest.raises(UsageError, match="another run is writing it"):
        Lock.take(Path(f"{tmp_path}/{spelled}"))


def test_waiting_ends_when_the_holder_does(
    tmp_path: Path, holder: Callable[[Path], subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    child = holder(tmp_path / "x")
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLD.replace("sys.argv[1])", "sys.argv[1]), wait=True").replace("60", "0"),
         str(tmp_path / "x")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert (
        waiter.stderr is not None
        and f"waiting for another run: process {child.pid}" in waiter.stderr.readline()
    )
    assert waiter.poll() is None
    child.kill()
    out, _ = waiter.communicate(timeout=30)
    assert out == "held\n"


ROW = {
    "instruction": "Compare by identity.", "pre": "if a == None:\n    go(a)\n",
    "post": "if a is None:\n    go(a)\n", "language": "python", "license": "mit", "id": "e1", "source": "own",
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "target"),
    [
        ("ingest jsonl --name own --input rows.jsonl --group-by path", "data/processed/.index/own"),
        ("ingest jsonl --name own --input rows.jsonl --resume", "data/processed/.index/own"),
        ("mine rows.jsonl --name own", "data/processed/.runs/mine-own"),
        ("synth --limit 3", "data/processed/.runs/synth"),
        ("teacher run --tasks rows.jsonl", "trajectories/raw/teacher/miner.jsonl"),
        ("teacher run --tasks rows.jsonl --overwrite", "trajectories/raw/teacher/miner.jsonl"),
        ("eval mining rows.jsonl", "runs/eval/mining"),
        ("eval edits --model m --base-url http://127.0.0.1:9/v1 --input records.jsonl", "runs/eval/edits_m"),
        (
            "eval actions --model m --base-url http://127.0.0.1:9/v1 --input records.jsonl",
            "runs/eval/actions_m",
        ),
    ],
)
def test_a_second_run_is_refused_politely(
    tmp_path: Path,
    holder: Callable[[Path], subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    target: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "records.jsonl").write_text(json.dumps(record()) + "\n")
    child = holder(tmp_path / target)
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(command.split()) == 2
    said = capsys.readouterr().err
    assert f"process {child.pid}" in said and "hint: wait until that run has ended" in said
    assert sorted(tmp_path.rglob("*")) == before, "the second run wrote nothing"


def test_what_continues_an_interrupted_command() -> None:
    def again(line: str) -> str:
        return " ".join(cli.resume_arguments(line.split()))

    assert again("teacher run --tasks a.jsonl") == "teacher run --tasks a.jsonl"
    assert again("teacher run --tasks a.jsonl --overwrite") == "teacher run --tasks a.jsonl"
    assert again("ingest git --input .") == "ingest git --input . --resume"
    assert again("ingest git --input . --resume") == "ingest git --input . --resume"
    assert again("train sft --config a.yaml") == "train sft --config a.yaml --resume"
    assert again("mine data --overwrite") == "mine data --resume"
    assert again("eval edits --model m") == "eval edits --model m"
    assert again("trajs make") == "trajs make"
    assert again("nonsense") == "nonsense"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_the_suggestion_is_a_flag_that_the_command_has(name: str) -> None:
    import importlib

    fields = importlib.import_module(f"rulewright.commands.{cli.COMMANDS[name].module}").Config.model_fields
    assert ("--resume" in cli.resume_arguments(name.split())) <= ("resume" in fields)
