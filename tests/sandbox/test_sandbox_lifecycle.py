"""What is left when things end: nothing; and what happens when a part of ours dies."""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH102, PTH208

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from rulewright.errors import RulewrightError
from rulewright.sandbox import cgroups, layout
from rulewright.sandbox.job import Job, Limits, Status
from rulewright.sandbox.keeper import remove_folder
from rulewright.sandbox.local import LocalPool, preload_for
from rulewright.sandbox.runner import Sandbox
from rulewright.sandbox.worker import WorkerLost

Opener = Callable[..., Sandbox]

TRAINER = """
import sys, threading, time
from rulewright.sandbox import Job, Limits, open_sandbox
sandbox = open_sandbox(sys.argv[1])
busy = "import os, time\\nfor _ in range(5):\\n    if os.fork() == 0: os.setsid()\\ntime.sleep(60)"
threading.Thread(target=lambda: sandbox.run(Job({"main.py": busy}, limits=Limits(wall_s=60)))).start()
print(sandbox.backend.layout.scratch, sandbox.user or -1, flush=True)
time.sleep(60)
"""


def processes_mentioning(scratch: str, user: int) -> list[str]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace")
            status = Path(f"/proc/{name}/status").read_text()
        except OSError:
            continue
        uid = int(status.split("Uid:")[1].split()[0])
        if scratch in command or uid == user:
            found.append(f"{name} {command[:80]}")
    return found


def left_of(scratch: str, user: int) -> list[str]:
    """What there still is of a sandbox: its processes and its folder."""
    return processes_mentioning(scratch, user) + [scratch] * Path(scratch).exists()


def our_cgroups(pid: int) -> list[Path]:
    return [path for folder in cgroups.find_home().folders for path in folder.glob(f"rulewright-{pid}-*")]


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock"])
def test_kill_9_of_the_trainer_leaves_nothing(tier: str, opener: Opener) -> None:
    opener(tier).close()
    trainer = subprocess.Popen([sys.executable, "-c", TRAINER, tier], stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None
    scratch, user = trainer.stdout.readline().split()
    if int(user) != -1:  # the processes of a job tell by their user whose they are
        assert wait_until(lambda: len(processes_mentioning(scratch, int(user))) > 3)
    trainer.kill()
    trainer.wait()
    assert wait_until(lambda: not left_of(scratch, int(user)), limit_s=30), left_of(scratch, int(user))
    assert our_cgroups(trainer.pid) == []
    assert scratch not in Path("/proc/self/mountinfo").read_text()
    trainer.stdout.close()


def test_closing_leaves_nothing(opener: Opener) -> None:
    sandbox = opener("auto")
    scratch, user = str(sandbox.backend.layout.scratch), sandbox.user or -1  # type: ignore[attr-defined]
    sandbox.run(
        Job({"main.py": "import os\nif os.fork() == 0:\n    os.setsid()\n    import time; time.sleep(60)"})
    )
    sandbox.close()
    assert processes_mentioning(scratch, user) == []
    assert not Path(scratch).exists()
    assert [path for path in our_cgroups(os.getpid()) if scratch[-8:] in path.name] == []


def measure(pool: LocalPool) -> tuple[int, int, int]:
    """Descriptors of this process and of the keeper, and children of the keeper."""
    keeper = pool.keeper.process.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{keeper}/fd")), len(children)


def worker_memory(pool: LocalPool) -> int:
    """Resident bytes of everything below the keeper."""
    total, queue = 0, [pool.keeper.process.pid]
    while queue:
        process = Path(f"/proc/{queue.pop()}")
        queue += map(int, (process / "task" / process.name / "children").read_text().split())
        total += int((process / "statm").read_text().split()[1]) * 4096
    return total


def leak_check(pool: LocalPool, n: int) -> None:
    jobs = [
        Job({"main.py": "print(1)"}),
        Job({"main.py": "import os\nos.fork()"}),
        Job({"main.py": "1 / 0"}),
        Job({"main.py": "while True: print('x' * 1000)"}, limits=Limits(output_bytes=10_000)),
    ]
    for job in jobs:
        pool.run(job)
    before, memory = measure(pool), worker_memory(pool)
    for i in range(n):
        result = pool.run(jobs[i % len(jobs)])
        assert result.status is not Status.INFRA, result.detail
    assert measure(pool) == before
    assert worker_memory(pool) < memory * 1.5 + (16 << 20)
    assert pool.n_infra == 0


def test_two_hundred_runs_leak_nothing(opener: Opener) -> None:
    with opener("auto") as sandbox:
        leak_check(sandbox.backend, 200)  # type: ignore[arg-type]


def test_a_file_of_the_machine_is_replaced_between_two_workers(
    tmp_path: Path, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "ld.so.cache"
    shutil.copy("/etc/ld.so.cache", cache)
    monkeypatch.setattr(layout, "ETC", (str(cache),))
    with opener("auto") as sandbox:
        assert sandbox.run(Job({"main.py": ""})).status is Status.OK
        newer = tmp_path / "newer"
        shutil.copy(cache, newer)
        newer.replace(cache)
        pool = sandbox.backend
        assert isinstance(pool, LocalPool)
        pool.drop(pool.slots[0], "light")
        assert sandbox.run(Job({"main.py": ""})).status is Status.OK
        assert pool.n_infra == 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fifty_thousand_runs_leak_nothing(opener: Opener) -> None:
    with opener("auto") as sandbox:
        leak_check(sandbox.backend, 50_000)  # type: ignore[arg-type]


def test_a_killed_worker_is_replaced_and_the_job_retried(opener: Opener) -> None:
    with opener("auto") as sandbox:
        pool: LocalPool = sandbox.backend  # type: ignore[assignment]
        os.kill(pool.slots[0].workers["light"].pid, signal.SIGKILL)
        assert sandbox.run(Job({"main.py": "print(1)"})).stdout == "1\n"
        assert pool.n_infra == 1


@pytest.mark.parametrize("used_again", [True, False])
def test_a_killed_keeper_is_replaced_and_leaves_nothing(opener: Opener, used_again: bool) -> None:
    with opener("auto") as sandbox:
        pool: LocalPool = sandbox.backend  # type: ignore[assignment]
        name = pool.layout.scratch.name[-8:]
        pool.keeper.process.kill()
        pool.keeper.process.wait()
        if used_again:
            assert sandbox.run(Job({"main.py": "print(1)"})).stdout == "1\n"
            assert len({path.name for path in our_cgroups(os.getpid()) if name in path.name}) <= 1
    assert [path for path in our_cgroups(os.getpid()) if name in path.name] == []
    assert not pool.layout.scratch.exists()


def test_what_we_cannot_do_is_infra_after_one_retry(monkeypatch: pytest.MonkeyPatch, opener: Opener) -> None:
    with opener("auto") as sandbox:
        pool: LocalPool = sandbox.backend  # type: ignore[assignment]
        tries = []

        def lose(slot: object, preload: str) -> None:
            tries.append(preload)
            raise WorkerLost("gone")

        monkeypatch.setattr(pool, "worker_of", lose)
        result = sandbox.run(Job({"main.py": ""}))
        assert (result.status, result.verdict, len(tries)) == (Status.INFRA, "infra", 2)


def test_an_interrupted_run_gives_the_next_one_nothing(opener: Opener) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with opener("auto") as sandbox:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(KeyboardInterrupt):
                sandbox.run(Job({"main.py": "import time\ntime.sleep(2)\nprint('first')"}))
            assert sandbox.run(Job({"main.py": "print('second')"})).stdout == "second\n"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("look", [1, 2])
def test_processes_that_end_between_two_looks_do_no_harm(monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    looks: Counter[str] = Counter()
    stat = os.stat

    def gone(path: Any, **options: Any) -> os.stat_result:
        looks[str(path)] += 1
        if str(path).startswith("/proc/") and looks[str(path)] >= look:
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", gone)
    assert layout.free_user() > 0


def test_a_forked_process_may_not_use_it(opener: Opener) -> None:
    with opener("auto") as sandbox:
        pid = os.fork()
        if pid == 0:
            try:
                sandbox.run(Job({"main.py": ""}))
            except RulewrightError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0


def test_removal_copes_with_hostile_trees(tmp_path: Path) -> None:
    top = tmp_path / "job"
    top.mkdir()
    os.chdir(top)
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(tmp_path)
    (top / "x").mkdir()
    (top / "x" / "-rf\n").write_text("")
    (top / "link").symlink_to(tmp_path)
    (top / "x").chmod(0)
    remove_folder(top)
    assert not top.exists()
    assert tmp_path.exists()


def test_jobs_go_to_the_interpreter_that_has_their_imports() -> None:
    assert preload_for(Job({"a.py": "import os, json"})) == "light"
    assert preload_for(Job({"a.py": "x = 1\nfrom numpy.linalg import norm"})) == "numeric"
    assert preload_for(Job({"a.py": "import os, torch.nn as nn"})) == "heavy"
    assert preload_for(Job({"a.py": "import torchlike"})) == "light"
