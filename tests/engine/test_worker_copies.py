"""Workers as copies of their process: they hold nothing that it has open, and are gone when it is gone."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rulewright.engine import Engine, Request, pool

GOOD = Request("id: r\nlanguage: python\nrule: {pattern: foo($A)}\nfix: bar($A)", "x = foo(1)\n", "python")
OWNER = """
import os, sys, time
from rulewright.engine import Engine, Request

held = open(sys.argv[1], "w")
with Engine(workers=2) as engine:
    rule = "id: r\\nlanguage: python\\nrule: {pattern: foo($A)}\\nfix: bar($A)"
    requests = [Request(rule, "foo(1)\\n" * 3000, "python")] * 6
    verdicts = {outcome.verdict for outcome in engine.judge_many(requests)}
    print(*verdicts, *(worker.process.pid for worker in engine.workers), flush=True)
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker is a copy")


def test_a_copy_holds_nothing_open_and_ends_with_its_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", OWNER, str(tmp_path / "held")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        verdict, *pids = owner.stdout.readline().split()
        assert verdict == "ok" and len(pids) == 2
        for pid in pids:
            proc = Path("/proc", pid)
            assert proc.joinpath("cmdline").read_bytes() == Path(f"/proc/{owner.pid}/cmdline").read_bytes()
            names = [str(one.readlink()) for one in proc.joinpath("fd").iterdir()]
            assert str(tmp_path / "held") not in names
            assert all(name.startswith("pipe:") or name == os.devnull for name in names), names
        owner.kill()
        # They hold the other end of its output: this reads to the end only when they are gone.
        owner.stdout.read()
    for pid in pids:
        _wait_for_end(int(pid))


def _wait_for_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        assert select.select([handle], [], [], 30)[0], "a worker outlived its process"
        os.close(handle)


def test_a_process_of_several_threads_is_not_copied() -> None:
    held = threading.Event()
    thread = threading.Thread(target=held.wait)
    thread.start()
    try:
        assert not pool.can_be_copied()
        with Engine() as engine:
            assert engine.judge(GOOD).ok
            command = Path(f"/proc/{engine.workers[0].process.pid}/cmdline").read_bytes()
            assert b"rulewright.engine.worker" in command
    finally:
        held.set()
        thread.join()


def test_a_system_that_takes_no_bound_on_memory_has_workers_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As macOS: it knows the limit, and refuses every value."""
    real = resource.setrlimit

    def refuse(which: int, limits: tuple[int, int]) -> None:
        if which == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        real(which, limits)

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with Engine() as engine:
        assert engine.judge(GOOD).ok
