"""Teachers: episodes, resumption, retries over a real HTTP endpoint, verified steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Reply, Request, json_reply, serving
from tests.waiting import wait_until

from rulewright import cli, jsonl
from rulewright.actions import parse_action, render_response
from rulewright.actions.action import Action
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id
from rulewright.data.splits import split_of
from rulewright.state.trajectory import TrajectoryStep
from rulewright.teachers.tasks import TeacherTask, parse_task, read_tasks
from rulewright.training.data import Form

NAMES = ["alpha", "beta", "gamma", "delta", "omega", "kappa", "sigma", "theta"]


def record(i: int, tests: str | None = None) -> NormalizedRecord:
    name = NAMES[i % len(NAMES)]
    pre = f"def f{i}({name}):\n    if {name} == None:\n        return {i}\n    return {name}.run({i})\n"
    post = pre.replace("== None", "is None")
    instruction = "Compare with `None` by identity."
    return NormalizedRecord(
        instruction=instruction,
        pre=pre,
        post=post,
        language="python",
        metadata=RecordMetadata(
            id=record_id(instruction, pre, post, "python"),
            source="fixture",
            license="mit",
            group=f"project-{i}",
            tests=tests,
        ),
    )


def manifest(tmp_path: Path, n: int = 12) -> Path:
    path = tmp_path / "tasks.jsonl"
    jsonl.write(path, (record(i).to_json() for i in range(n)))
    return path


def run(tmp_path: Path, *argv: str) -> int:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        return cli.main(list(argv))
    finally:
        os.chdir(here)


def steps(path: Path) -> list[TrajectoryStep]:
    return [TrajectoryStep.model_validate(row) for row in jsonl.read(path)]


RULE = {"rule": {"pattern": "$A == None"}, "fix": "$A is None"}
GOOD = render_response(Action("python", (RULE,)), think="Identity, not equality.")
WRONG = render_response(Action("python", ({"rule": {"pattern": "$A != None"}, "fix": "$A is not None"},)))


@dataclass
class Endpoint:
    """A server that speaks chat completions and answers by a script of the prompt and its number."""

    script: Callable[[str, int], str]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if request.method == "GET":
            return json_reply({"data": [{"id": "scripted"}]})
        self.asked.append(request.json()["messages"][-1]["content"])
        text = self.script(self.asked[-1], len(self.asked))
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return json_reply({"choices": choices, "usage": usage})


@pytest.fixture
def endpoint() -> Iterator[Callable[[Callable[[str, int], str]], Endpoint]]:
    with ExitStack() as stack:

        def make(script: Callable[[str, int], str]) -> Endpoint:
            made = Endpoint(script)
            made.url = stack.enter_context(serving(made.answer)) + "/v1"
            return made

        yield make


def test_the_miner_teaches_verified_steps(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    assert run(tmp_path, "teacher", "run", "--tasks", str(path), "--workers", "1") == 0
    rows = steps(tmp_path / "trajectories/raw/teacher/miner.jsonl")
    assert len(rows) == 12
    assert all(row.env.verdict == "ok" and row.provenance.solved for row in rows)
    figures = json.loads((tmp_path / "reports/teacher/metrics.json").read_text())
    assert figures[0]["solved"] == 12

    assert run(tmp_path, "trajs", "make", "--workers", "1", "--records", "sft.jsonl") == 0
    made = {split: steps(tmp_path / f"data/processed/srl/{split}.jsonl") for split in ("train", "dev")}
    wanted = Counter(split_of(f"project-{i}") for i in range(12))
    assert len(made["train"]) == wanted["train"]
    assert len(made["dev"]) == wanted["dev"]
    for row in made["train"]:
        assert row.env.post_code == row.target
        assert row.teacher.action is not None
        assert isinstance(parse_action(json.dumps(row.teacher.action), "python"), Action)
    sft = [NormalizedRecord.model_validate(row) for row in jsonl.read(tmp_path / "sft.jsonl")]
    assert [r.post for r in sft] == [row.env.post_code for row in made["train"]]


def test_running_again_asks_nothing_and_more_tasks_are_added(tmp_path: Path) -> None:
    path = manifest(tmp_path, 5)
    raw = tmp_path / "trajectories/raw/teacher/miner.jsonl"
    run(tmp_path, "teacher", "run", "--tasks", str(path), "--workers", "1")
    first = raw.read_bytes()
    run(tmp_path, "teacher", "run", "--tasks", str(path), "--workers", "1")
    assert raw.read_bytes() == first
    path = manifest(tmp_path, 8)
    run(tmp_path, "teacher", "run", "--tasks", str(path), "--workers", "1")
    assert raw.read_bytes().startswith(first)
    assert len(steps(raw)) == 8


def test_kill_9_then_resume_gives_the_same_bytes(tmp_path: Path) -> None:
    path = manifest(tmp_path, 40)
    command = [
        sys.executable,
        "-m",
        "rulewright",
        "teacher",
        "run",
        "--tasks",
        str(path),
        "--batch-size",
        "2",
    ]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    subprocess.run(command, cwd=whole, check=True, capture_output=True, timeout=240)
    raw = cut / "trajectories/raw/teacher/miner.jsonl"
    with subprocess.Popen(command, cwd=cut, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        assert wait_until(lambda: raw.exists() and raw.stat().st_size > 4000, child)
        os.killpg(child.pid, signal.SIGKILL)
    # A torn line, and an episode whose last row is missing: both are owed again.
    whole_rows = (whole / "trajectories/raw/teacher/miner.jsonl").read_bytes()
    assert 0 < raw.stat().st_size < len(whole_rows)
    with raw.open("ab") as stream:
        stream.write(b'{"task_id": "torn')
    subprocess.run(command, cwd=cut, check=True, capture_output=True, timeout=240)
    assert raw.read_bytes() == whole_rows


def test_retries_see_the_reason_and_are_recorded(tmp_path: Path, endpoint: Any) -> None:
    server = endpoint(lambda prompt, _: GOOD if "<feedback>" in prompt else WRONG)
    path = manifest(tmp_path, 3)
    argv = ["teacher", "run", "--tasks", str(path), "--teacher", "endpoint", "--base-url", server.url]
    argv += ["--attempts", "2", "--workers", "1", "--name", "t"]
    assert run(tmp_path, *argv) == 0
    rows = steps(tmp_path / "trajectories/raw/teacher/t.jsonl")
    assert [(row.provenance.attempt, row.env.verdict.value) for row in rows] == [
        (0, "no_match"),
        (1, "ok"),
    ] * 3
    assert all("<feedback>no_match" in prompt for prompt in server.asked if "<feedback>" in prompt)
    assert rows[1].teacher.think == "Identity, not equality."
    assert rows[1].provenance.usage["completion_tokens"] == 50
    assert [row.provenance.feedback != "" for row in rows] == [False, True] * 3
    argv = ["trajs", "make", "--raw", "trajectories/raw/teacher/t.jsonl", "--workers", "1"]
    run(tmp_path, *argv, "--records", "sft.jsonl", "--repairs")
    made = [NormalizedRecord.model_validate(row) for row in jsonl.read(tmp_path / "sft.jsonl")]
    told = [record.metadata.feedback or "" for record in made]
    assert [text[:9] for text in told] == ["", "no_match:"] * (len(made) // 2) and made
    assert len({record.metadata.id for record in made}) == len(made)
    messages = [Form("action", "full").prompt(record)[-1]["content"] for record in made]
    shown = [f"<feedback>{text}</feedback>" in message for text, message in zip(told, messages, strict=True)]
    assert shown == [False, True] * (len(made) // 2)
    assert run(tmp_path, *argv, "--repairs") == 2
    run(tmp_path, *argv, "--records", "plain.jsonl")
    assert len(list(jsonl.read(tmp_path / "plain.jsonl"))) == len(made) // 2
    summary = json.loads((tmp_path / "data/processed/srl/metadata.json").read_text())
    assert summary["dropped"]["no_match"] == 3


def test_a_wrong_result_is_never_verified(tmp_path: Path, endpoint: Any) -> None:
    other = render_response(Action("python", ({"rule": {"pattern": "$A == None"}, "fix": "not $A"},)))
    server = endpoint(lambda *_: other)
    path = manifest(tmp_path, 3)
    argv = ["teacher", "run", "--tasks", str(path), "--teacher", "endpoint", "--base-url", server.url]
    run(tmp_path, *argv, "--workers", "1")
    rows = steps(next((tmp_path / "trajectories/raw/teacher").glob("*.jsonl")))
    assert {row.env.verdict.value for row in rows} == {"wrong_result"}
    assert run(tmp_path, "trajs", "make", "--workers", "1") == 1


def test_a_bare_rule_without_an_action_block_is_no_action(tmp_path: Path, endpoint: Any) -> None:
    server = endpoint(lambda *_: "id: r\nlanguage: python\nrule:\n  pattern: $A == None\nfix: $A is None\n")
    argv = ["teacher", "run", "--tasks", str(manifest(tmp_path, 2)), "--teacher", "endpoint"]
    assert run(tmp_path, *argv, "--base-url", server.url, "--name", "t", "--workers", "1") == 0
    rows = steps(tmp_path / "trajectories/raw/teacher/t.jsonl")
    assert [row.env.verdict.value for row in rows] == ["no_action", "no_action"]


def test_a_token_limit_stops_the_run_and_a_higher_one_goes_on(
    tmp_path: Path, endpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = endpoint(lambda *_: GOOD)
    path = manifest(tmp_path, 6)
    argv = ["teacher", "run", "--tasks", str(path), "--teacher", "endpoint", "--base-url", server.url]
    argv += ["--batch-size", "2", "--workers", "1", "--name", "t"]
    assert run(tmp_path, *argv, "--max-tokens", "300") == 0
    assert "stopped: 300 tokens used" in capsys.readouterr().err
    raw = tmp_path / "trajectories/raw/teacher/t.jsonl"
    assert len(steps(raw)) == 2
    assert run(tmp_path, *argv, "--max-tokens", "100000") == 0
    assert len(steps(raw)) == 6
    assert len(server.asked) == 6


def test_bad_tasks_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(
        record(0).to_json() + "\n" + record(0).to_json() + "\nnope\n"
        '{"pre": "x"}\n{"instruction": "i", "language": "python"}\n'
        '{"instruction": "i", "pre": "x", "pre": "y", "language": "python"}\n'
        '{"instruction": "i", "pre": "x", "language": "cobol"}\n'
        '{"instruction": "i", "pre": "x", "post": "x", "language": "go"}\n'
    )
    rejected: Counter[str] = Counter()
    assert [task.group for task in read_tasks([path], rejected)] == ["project-0"]
    assert rejected == {
        "repeated_id": 1, "not_json": 2, "no_instruction": 1, "no_code": 1,
        "unknown_language": 1, "no_edit": 1,
    }  # fmt: skip


def test_a_hand_written_row_is_a_task() -> None:
    task = parse_task({"instruction": "do", "pre_code": "x = 1\r\n", "language": "py", "task_id": "mine"})
    assert task == TeacherTask("mine", "do", "x = 1\n", "python", group="mine")


@pytest.mark.parametrize("line", ["{", "[]", '{"task_id": "x"}'])
def test_a_line_that_is_no_step_is_named(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    task = {"instruction": "do", "pre": "x = 1\n", "post": "x = 2\n", "language": "py"}
    jsonl.write(tmp_path / "t.jsonl", [task])
    raw = tmp_path / "raw/miner.jsonl"
    raw.parent.mkdir()
    raw.write_text(f"\n{line}\n")
    assert cli.main(["teacher", "run", "--tasks", "t.jsonl", "--out", "raw"]) == 1
    assert "miner.jsonl:2: " in capsys.readouterr().err and raw.read_text() == f"\n{line}\n"


def test_tests_beside_the_metadata_are_those_of_the_task() -> None:
    row = {"instruction": "do", "pre_code": "x = 1\n", "language": "py", "task_id": "mine"}
    beside = {"group": "a", "tests": "assert x", "metadata": {"source": "own", "group": "b"}}
    task = parse_task({**row, **beside})
    assert isinstance(task, TeacherTask)
    assert (task.tests, task.source, task.group, task.task_id) == ("assert x", "own", "b", "mine")


def test_every_episode_is_on_disk_when_it_ends_and_none_is_asked_twice(
    tmp_path: Path, endpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed within a batch: what was answered is kept; a second run at once is refused."""
    gate = threading.Event()

    def answer(prompt: str, n: int) -> str:
        if n > 5:
            gate.wait(60)
        return GOOD

    server = endpoint(answer)
    path = manifest(tmp_path, 12)
    argv = ["teacher", "run", "--tasks", str(path), "--teacher", "endpoint", "--base-url", server.url]
    argv += ["--name", "t", "--workers", "1", "--batch-size", "64", "--set", "generator.concurrency=2"]
    command = [sys.executable, "-m", "rulewright", *argv]
    raw = tmp_path / "trajectories/raw/teacher/t.jsonl"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        assert wait_until(lambda: raw.exists() and raw.read_bytes().count(b"\n") >= 4, child)
        assert run(tmp_path, *argv) == 2
        said = capsys.readouterr().err
        assert f"process {child.pid} on" in said and "another run is writing it" in said
        os.killpg(child.pid, signal.SIGKILL)
    kept = len(steps(raw))
    assert 4 <= kept < 12
    gate.set()
    asked = len(server.asked)
    assert run(tmp_path, *argv, "--resume") == 0
    assert len(server.asked) - asked == 12 - kept
    found = [row.task_id for row in steps(raw)]
    assert found == [record(i).metadata.id for i in range(12)], "in the order of the tasks at the end"
    assert run(tmp_path, *argv, "--no-resume") == 2
    assert "already contains episodes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--teacher", "endpoint", "--base-url", "http://127.0.0.1:9/v1"],
            "at temperature 0 asks for the same",
        ),
        (["--teacher", "miner", "--temperature", "0.8"], "the miner teacher gives one answer"),
        (["--teacher", "gold"], "the gold teacher gives one answer"),
    ],
)
def test_equal_samples_are_not_paid_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    path = manifest(tmp_path, 2)
    for dry in ([], ["--dry-run"]):
        assert run(tmp_path, "teacher", "run", "--tasks", str(path), "--samples", "4", *more, *dry) == 2
        said = capsys.readouterr().err
        assert message in said and "hint: " in said


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tasks", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--tasks", "empty.jsonl"], "no task in it (it is empty)"),
        (["--tasks", "tasks.jsonl", "--teacher", "endpoint"], "no --base-url"),
        (["--tasks", "tasks.jsonl", "--teacher", "checkpoint", "--model", "models/x"], "no such checkpoint"),
        (["--tasks", "tasks.jsonl", "--teacher", "parrot"], "no choice 'parrot'"),
    ],
)
def test_mistakes_have_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    manifest(tmp_path, 1)
    (tmp_path / "empty.jsonl").write_text("")
    assert run(tmp_path, "teacher", "run", *argv) in (1, 2)
    err = capsys.readouterr().err
    assert message in err
    assert "hint: " in err


def test_smell_tasks_say_that_nothing_verifies_them(
    tmp_path: Path, endpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A smell without a fixed version is a task that no step can be verified on, and no step comes of it."""
    row = {"path_or_id": "Python/SmellyUnannotated/shop.py", "pre": "if a == None:\n    go(a)\n",
           "smells": [{"smell": "Long Method", "method": "go"}, {"smell": "Magic"}]}  # fmt: skip
    jsonl.write(tmp_path / "smelly.jsonl", [row])
    assert run(tmp_path, "ingest", "smellycode", "--input", "smelly.jsonl", "--workers", "1") == 0
    tasks = tmp_path / "data/processed/tasks/smellycode.jsonl"
    server = endpoint(lambda *_: GOOD)
    argv = ["teacher", "run", "--tasks", str(tasks), "--teacher", "endpoint", "--base-url", server.url]
    capsys.readouterr()
    assert run(tmp_path, *argv, "--dry-run", "--json") == 0
    said = capsys.readouterr()
    assert "2 of 2 tasks have neither a target" in said.err and not server.asked
    assert json.loads(said.out)["tasks_that_nothing_verifies"] == 2
    assert run(tmp_path, *argv, "--workers", "1") == 0
    assert run(tmp_path, "trajs", "make", "--workers", "1") == 1
    assert "nothing_to_check_against 2" in capsys.readouterr().err


def test_tests_that_passed_before_prove_no_step(
    tmp_path: Path, endpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tests of a refactoring hold before and after: any harmless rule would pass for the wanted one."""
    pre = "def f(a):\n    if a == None:\n        return 1\n    return 2\n"
    telling = "class Same:\n    def __eq__(self, other):\n        return True\n\nassert f(Same()) == 2\n"
    tests = {"silent": "assert f(None) == 1\n", "telling": telling}
    jsonl.write(
        tmp_path / "tasks.jsonl",
        [
            {"task_id": name, "instruction": "Refactor.", "pre": pre, "language": "python", "tests": text,
             "group": name, "source": name} for name, text in tests.items()
        ],
    )  # fmt: skip
    server = endpoint(lambda *_: GOOD)
    argv = ["teacher", "run", "--tasks", "tasks.jsonl", "--teacher", "endpoint", "--base-url", server.url]
    assert run(tmp_path, *argv, "--workers", "1") == 0
    rows = steps(next((tmp_path / "trajectories/raw/teacher").glob("*.jsonl")))
    assert {row.task_id: row.provenance.solved for row in rows} == {"silent": None, "telling": True}
    assert all(row.env.verdict == "ok" and row.env.tests.passed for row in rows)
    capsys.readouterr()
    assert run(tmp_path, "trajs", "make", "--workers", "1") in (0, 1)  # the groups may both be dev's
    assert "nothing_to_check_against" in "".join(capsys.readouterr())
