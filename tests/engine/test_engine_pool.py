"""Safety: whatever an action does, it gets its reason, and the batch goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rulewright.actions import Action
from rulewright.engine import Engine, Request, cli
from rulewright.errors import RulewrightError
from rulewright.verdict import Verdict

CODE = "x = foo(1)\n"
GOOD = Request("id: r\nlanguage: python\nrule: {pattern: foo($A)}\nfix: bar($A)", CODE, "python")
HANG = Request(
    "id: r\nlanguage: python\nrule:\n  kind: module\n  has:\n    stopBy: end\n    has:\n      stopBy: end\n"
    "      has:\n        stopBy: end\n        has: {stopBy: end, kind: integer, regex: zz+}\nfix: x\n",
    "x = " + "(" * 300 + "1" + ")" * 300 + "\n",
    "python",
)
SEGFAULT = Request(
    Action("python", ({"rule": {"pattern": "(" * 100_000 + "1" + ")" * 100_000}, "fix": "x"},)),
    CODE,
    "python",
)
HUGE = Request(Action("python", ({"rule": {"pattern": "x" * 50_000_000}, "fix": "x"},)), CODE, "python")
GROWTH = Request(
    json.dumps(
        {
            "id": "r",
            "language": "python",
            "rule": {"kind": "module", "pattern": "$A"},
            "transform": {
                "B": {"replace": {"source": "$A", "replace": "", "by": "x" * 2000}},
                "C": {"replace": {"source": "$B", "replace": "", "by": "x" * 2000}},
            },
            "fix": "$C",
        }
    ),
    CODE * 20,
    "python",
)


def test_hostile_items_get_their_reason_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Request(GOOD.action, CODE + "def (\n", "python")  # for the command line
    requests = [GOOD, HANG, GOOD, SEGFAULT, GOOD, HUGE, GROWTH, GOOD, broken]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Engine(workers=2, deadline_s=0.7, memory_mb=700) as engine:
        outcomes = list(engine.judge_many(requests))
        processes = [worker.process for worker in engine.workers]
    verdicts = [outcome.verdict for outcome in outcomes]
    assert [verdicts[i] for i in (0, 2, 4, 7)] == [Verdict.OK] * 4
    assert verdicts[1] is Verdict.TIMEOUT
    assert verdicts[3] is Verdict.CRASHED and "SIGSEGV" in outcomes[3].detail
    assert verdicts[5] in (Verdict.CRASHED, Verdict.TIMEOUT, Verdict.BAD_RULE, Verdict.NO_MATCH)
    assert verdicts[6] in (Verdict.CRASHED, Verdict.BAD_ACTION, Verdict.TIMEOUT)
    assert verdicts[8] is Verdict.OK
    assert all(process.poll() is not None for process in processes), "a worker outlived its engine"
    assert list(tmp_path.iterdir()) == []


def test_outcomes_come_in_order_and_once() -> None:
    sizes = [1, 400, 2, 9000, 3, 20000, 4]
    requests = [Request(GOOD.action, CODE * n, "python") for n in sizes]
    with Engine(workers=2) as engine:
        assert [outcome.n_matches for outcome in engine.judge_many(requests)] == sizes
        # A consumer that walks away does not confuse the next one.
        next(engine.judge_many(requests))
        assert engine.judge(GOOD).n_matches == 1


def test_a_rule_of_500_megabytes_is_refused_before_it_is_copied() -> None:
    giant = Request(json.dumps({"rule": {"pattern": "x" * 500_000_000}}), CODE, "python")
    with Engine(workers=1) as engine:
        outcomes = list(engine.judge_many([giant, GOOD, giant, giant, GOOD]))
        assert [outcome.verdict for outcome in outcomes[1::3]] == [Verdict.OK] * 2
        assert {outcomes[i].verdict for i in (0, 2, 3)} == {Verdict.BAD_ACTION}
        assert "at most 1,000,000" in outcomes[0].detail
        assert [outcome.verdict for outcome in engine.judge_many([giant])] == [Verdict.BAD_ACTION]


def test_as_many_workers_are_started_as_have_work_at_once() -> None:
    with Engine(workers=3) as engine:
        assert engine.workers == []
        for _ in range(2):
            assert engine.judge(GOOD).ok and len(engine.workers) == 1
        assert all(outcome.ok for outcome in engine.judge_many([GOOD] * 2)) and len(engine.workers) == 2
        assert all(outcome.ok for outcome in engine.judge_many([GOOD] * 9)) and len(engine.workers) == 3
    for one in (Engine(workers=0), Engine()):
        with one as engine:
            assert all(outcome.ok for outcome in engine.judge_many([GOOD] * 9)) and len(engine.workers) == 1


def test_the_deadline_is_processor_time() -> None:
    with Engine(deadline_s=0.2) as engine:
        engine.judge(GOOD)
        os.kill(engine.workers[0].process.pid, 19)  # SIGSTOP: as on a machine that is busy elsewhere
        pid = engine.workers[0].process.pid
        waiting = engine.judge_many([GOOD])
        import threading

        threading.Timer(0.8, os.kill, (pid, 18)).start()  # SIGCONT
        assert next(waiting).verdict is Verdict.OK


def test_a_worker_that_never_answers_is_our_fault() -> None:
    with Engine(deadline_s=5, wall_s=0.5) as engine:
        engine.judge(GOOD)
        os.kill(engine.workers[0].process.pid, 19)
        assert engine.judge(GOOD).verdict is Verdict.INFRA
        assert engine.judge(GOOD).verdict is Verdict.OK


def test_more_failing_items_than_are_held_ahead_all_get_their_reason() -> None:
    """The oldest is tried again first: else none of them could be given out, and all would wait for it."""
    with Engine(deadline_s=0.02) as engine:
        outcomes = list(engine.judge_many([HANG] * 70))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.TIMEOUT] * 70


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_someone_else_ends_is_our_fault(number: int) -> None:
    with Engine() as engine:
        engine.judge(GOOD)
        os.kill(engine.workers[0].process.pid, number)
        outcome = engine.judge(GOOD)
        assert (outcome.verdict, engine.judge(GOOD).verdict) == (Verdict.INFRA, Verdict.OK)
    assert "from outside" in outcome.detail


def test_what_the_command_line_cannot_have_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it cost a worker."""
    broken = Request(GOOD.action, CODE + "def (\n", "python")  # for the command line
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Engine() as engine:
        engine.judge(GOOD)
        [worker] = engine.workers
        [scratch] = tmp_path.iterdir()
        scratch.rmdir()
        assert [engine.judge(one).verdict for one in (broken, GOOD)] == [Verdict.INFRA, Verdict.OK]
        assert engine.workers == [worker]


def test_one_stream_of_outcomes_at_a_time() -> None:
    with Engine() as engine:
        first = engine.judge_many([GOOD] * 100)
        next(first)
        with pytest.raises(RuntimeError, match="earlier requests"):
            engine.judge(GOOD)
        assert [outcome.verdict for outcome in first] == [Verdict.OK] * 99
        assert engine.judge(GOOD).verdict is Verdict.OK


def test_another_minor_version_is_refused_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "versions", lambda: {"ast-grep-py": "0.52.0", "ast-grep-cli": "0.51.1"})
    with pytest.raises(RulewrightError, match=r"0\.52\.0 is installed, expected 0\.51"):
        Engine()
    Engine(allow_other_version=True).close()


ATTACKS = {
    "y01_billion_laughs": {Verdict.BAD_ACTION},
    "y03_python_name": {Verdict.BAD_RULE},
    "y05_multi_doc": {Verdict.OK, Verdict.NO_MATCH, Verdict.LOSSY, Verdict.SYNTAX_ERROR, Verdict.BAD_RULE},
    "y06_deep_nesting": {Verdict.BAD_ACTION},
    "y10_giant_pattern": {Verdict.BAD_ACTION},
    "y12_transform_growth": {Verdict.BAD_ACTION, Verdict.CRASHED, Verdict.TIMEOUT},
    "y13_nul_and_controls": {Verdict.BAD_ACTION},
    "y14_not_a_rule": {Verdict.BAD_RULE},
    "y17_id_traversal": {Verdict.NO_CHANGE, Verdict.NO_MATCH},
    "y18_whole_file_fix": {Verdict.DEGENERATE},
    "y20_yaml_11_vs_12": {Verdict.BAD_RULE},
}


def test_hostile_actions_of_the_collection(shared: Path, tmp_path: Path) -> None:
    folder = shared / "attacks"
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["kind"].startswith("action-")]
    requests = []
    for row in rows:
        text = (folder / row["file"]).read_bytes().decode("utf-8", "replace")
        if row["kind"] == "action-cli":
            text = json.dumps({"action": {"type": "ast_grep", "mode": "cli", "cli": text}})
        requests.append(Request(text, "def f(a):\n    return foo(a)\nx = foo(1)\n", "python"))
    with Engine(workers=2, deadline_s=3) as engine:
        outcomes = list(engine.judge_many(requests))
    assert len(rows) >= 20
    for row, outcome in zip(rows, outcomes):
        wanted = {Verdict.BAD_ACTION} if row["kind"] == "action-cli" else ATTACKS.get(row["name"])
        if wanted is not None:
            assert outcome.verdict in wanted, (row["name"], outcome.verdict, outcome.detail)


def test_the_next_run_removes_the_folders_of_a_killed_one(tmp_path: Path) -> None:
    """What lies there of a process that lives, of another machine or of someone else stays."""
    # The worker first: it would remove the folder a moment after the other's death.
    kill = (
        "    [worker] = psutil.Process().children()\n    worker.kill()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before, after = (
        "import os, psutil, signal\nfrom rulewright.actions import Action\n"
        "from rulewright.engine import Engine, Request\n"
        "rule = {'rule': {'pattern': 'a'}, 'fix': 'b'}\n"
        "with Engine() as engine:\n"
        "    print(engine.judge(Request(Action('python', (rule,)), 'a', 'python')).verdict)\n" + end
        for end in (kill, "")
    )  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", before], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    begin, number, end = left.name.rsplit("-", 2)
    others = {
        f"{begin}-{os.getpid()}-{end}",
        f"rulewright-engine-00000000-{number}-{end}",
        f"rulewright-engine-{end}",
    }
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / f"{left.name[:-1]}_").symlink_to(tmp_path / left.name)
    subprocess.run([sys.executable, "-c", after], env=environment, check=True)
    assert {path.name for path in tmp_path.iterdir() if not path.is_symlink()} == others
