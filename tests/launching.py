"""Commands in processes of their own, with a limit, and where each of them stood if it is passed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ACCELERATE = Path(__file__).parents[1] / "configs" / "accelerate"


def as_a_person(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command under permissions, which do not count for root."""
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if less and shutil.which("setpriv") is None:
        pytest.skip("root may write everything here")
    argv = [*less, sys.executable, "-m", "rulewright", *words]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def run_in_time(*argv: str, limit_s: float = 280, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command; past the limit, end it and its children, each with its threads' stacks.

    Raises:
        AssertionError: it took longer; with the processor's load, the processes and what they said.
    """
    process = subprocess.Popen(
        argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1", **environment},
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        states = _end(process.pid)
        out, err = process.communicate()
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        raise AssertionError(
            f"not done in {limit_s} s (load {load}); {states}\n{out[-2000:]}\n{err[-8000:]}"
        ) from None
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def _end(pid: int) -> str:
    """End a process and its descendants, children first; what each was, and the time it had used."""
    import psutil

    top = psutil.Process(pid)
    found = [*reversed(top.children(recursive=True)), top]
    states = []
    for one in found:
        try:
            used = one.cpu_times()
            states.append(f"{one.pid} {one.status()}, {used.user + used.system:.1f} s of the processor")
            one.send_signal(signal.SIGABRT)  # `faulthandler` writes the stacks
        except psutil.Error:
            continue
        time.sleep(0.5)
    for one in psutil.wait_procs(found, timeout=10)[1]:
        one.kill()
    return "; ".join(states)


def launched(*argv: str, path: Path = ACCELERATE / "tiny_ddp.yaml") -> subprocess.CompletedProcess[str]:
    """A module's command in two processes over gloo."""
    return run_in_time(
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path), "-m", *argv,
        GLOO_SOCKET_IFNAME="lo",
    )  # fmt: skip
