"""Worker processes: order, failures by name, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import wait_until

from rulewright.errors import MissingDependency, RulewrightError
from rulewright.workers import WorkerFailed, ordered_map


def test_results_come_in_order_and_tasks_as_needed() -> None:
    drawn = []

    def tasks() -> Iterator[int]:
        for i in range(40):
            drawn.append(i)
            yield -i

    results = ordered_map(abs, tasks(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(drawn) < 12
    assert list(results) == list(range(3, 40))


def test_a_bug_is_a_traceback_and_a_death_is_told() -> None:
    with pytest.raises(WorkerFailed, match="TypeError"):
        list(ordered_map(chr, ["text"], 2))  # type: ignore[arg-type]
    with pytest.raises(RulewrightError, match="died with exit code 3"):
        list(ordered_map(os._exit, [3], 2))


def _lack(package: str) -> None:
    raise MissingDependency(package, "a worker", "train")


def test_an_error_of_a_worker_arrives_with_its_hint() -> None:
    with pytest.raises(MissingDependency, match="torch is not installed, and a worker needs it") as raised:
        list(ordered_map(_lack, ["torch"], 2))
    assert raised.value.hint == "pip install 'rulewright[train]'"


def _square_die_or_sleep(n: int) -> int:
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 4:
        time.sleep(60)
    return n * n


def test_a_death_and_a_task_that_takes_too_long_cost_only_themselves() -> None:
    made = ordered_map(_square_die_or_sleep, range(7), 2, limit_s=5.0, failed=lambda task, reason: reason)
    assert list(made) == [0, 1, 4, "crashed", "timeout", 25, 36]


def _print_and_tell(n: int) -> str:
    print("to the person")
    return os.environ["OMP_NUM_THREADS"]


def test_a_worker_has_one_thread_and_leaves_stdout_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(ordered_map(_print_and_tell, [1, 2], 2)) == ["1", "1"]
    assert capfd.readouterr().out == ""


def _children(of: int) -> set[int]:
    done = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found: set[int] = set()
    new = {of}
    while new:
        new = {pid for pid, ppid in pairs if ppid in new} - found
        found |= new
    return found


WORK = """
import os, sys, time
from pathlib import Path

def work(folder):
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(0.2)
"""
PARENT = """
import sys, work
from rulewright.workers import ordered_map
list(ordered_map(work.work, [sys.argv[1]] * 1000, 2))
"""


def test_killing_the_parent_leaves_no_worker(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    (tmp_path / "work.py").write_text(WORK)
    with subprocess.Popen([sys.executable, str(program), str(tmp_path)], stderr=subprocess.DEVNULL) as parent:
        assert wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, parent), "both workers are at work"
        started = _children(parent.pid)
        assert len(started) >= 2
        os.kill(parent.pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(_is_alive, started)), limit_s=60), "a worker is still alive"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
