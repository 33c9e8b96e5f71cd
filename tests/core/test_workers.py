"""Worker processes: order, failures by name, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rulewright import workers
from rulewright.errors import RulewrightError


def test_results_come_in_order_and_tasks_as_needed() -> None:
    drawn = []

    def tasks():
        for i in range(40):
            drawn.append(i)
            yield -i

    results = workers.run("operator:abs", tasks(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(drawn) < 12
    assert list(results) == list(range(3, 40))


def test_a_bug_is_a_traceback_and_a_death_is_told() -> None:
    with pytest.raises(workers.WorkerFailed, match="TypeError"):
        list(workers.run("operator:abs", ["text"], 1))
    with pytest.raises(RulewrightError, match="died with exit code 3"):
        list(workers.run("os:_exit", [3], 1))


def _children(of: int) -> set[int]:
    done = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found, new = set(), {of}
    while new:
        new = {pid for pid, ppid in pairs if ppid in new} - found
        found |= new
    return found


POOLS = {
    "run": "from rulewright import workers; list(workers.run('time:sleep', [0.2] * 1000, 2))",
    "executor": (
        "import time\nfrom rulewright.mining import pool\n"
        "if __name__ == '__main__': list(pool.ordered_map(time.sleep, [0.2] * 1000, 2, lambda t, r: None))"
    ),
}


@pytest.mark.parametrize("kind", POOLS)
def test_killing_the_parent_leaves_no_worker(kind: str, tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(POOLS[kind])
    with subprocess.Popen([sys.executable, str(program)], stderr=subprocess.DEVNULL) as parent:
        until = time.monotonic() + 60
        while time.monotonic() < until and len(_children(parent.pid)) < 2:
            time.sleep(0.1)
        time.sleep(1.0)
        started = _children(parent.pid)
        assert len(started) >= 2
        os.kill(parent.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        alive = {pid for pid in started if _is_alive(pid)}
        if not alive:
            return
        time.sleep(0.1)
    pytest.fail(f"still alive: {sorted(alive)}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
