"""The fork server: a preloaded interpreter that forks once per job and holds no job's data.

It reads only that a job comes; the job itself is read after the fork, by its own
supervisor, so that nothing of one job is left in memory for the next. No threads.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import select
import signal
import socket
import sys
import tempfile
import time
from functools import partial
from typing import Any, Final

from . import jail, kernel, processes, supervisor
from .spec import Hello, JobEnd, JobStart, Settings, Walls, read_frame

_LIGHT: Final = (
    "abc", "argparse", "ast", "bisect", "collections", "contextlib", "copy", "csv", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "inspect", "io",
    "itertools", "json", "logging", "math", "operator", "os", "pathlib", "pickle", "queue", "random", "re",
    "statistics", "string", "subprocess", "tempfile", "textwrap", "threading", "time", "traceback", "typing",
    "unittest", "uuid", "zlib",
)  # fmt: skip
# What each class of worker has imported before the first job, where it is installed.
PRELOAD: Final[dict[str, tuple[str, ...]]] = {
    "light": _LIGHT,
    "tests": (*_LIGHT, "pytest"),
    "numeric": (*_LIGHT, "pytest", "numpy", "pandas"),
    "heavy": (*_LIGHT, "pytest", "numpy", "torch"),
}
# The supervisor keeps the deadline; the server steps in this much later.
_GRACE_S: Final = 5.0


def main() -> None:
    """Serve jobs on descriptor 3 until the driver closes it."""
    settings = Settings.from_json(sys.argv[1])
    walls = settings.walls
    if user := settings.become:
        kernel.become(user, user, keep_reading=settings.keep_reading)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    sock = socket.socket(fileno=3)
    sock.set_inheritable(False)
    if not walls.namespaced:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    _preload(settings.preload, walls.scratch)
    prepared = jail.prepare_filter(walls)
    gc.collect()
    gc.freeze()
    supervisor.send(sock, Hello())
    while _serve_one(sock, walls, prepared):
        pass


def _preload(which: str, scratch: str) -> None:
    for name in PRELOAD[which]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "pytest" in sys.modules:
        # Run a small session in a child-free way: it imports what pytest imports lazily.
        import pytest

        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            path = os.path.join(folder, "test_warm.py")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write("def test_warm():\n    assert True\n")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                pytest.main(["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "--rootdir", folder, path])
        sys.modules.pop("test_warm", None)


def _serve_one(sock: socket.socket, walls: Walls, prepared: Any) -> bool:
    try:
        asked = JobStart(**read_frame(partial(supervisor.read_exactly, sock)))
    except (EOFError, ConnectionError):
        return False
    start = time.monotonic()
    # Fork the job's supervisor, into namespaces where the tier has them.
    job = jail.fork_into_namespaces() if walls.namespaced else os.fork()
    if job == 0:
        code = 72
        try:
            supervisor.supervise(sock, walls, prepared)
        except BaseException as error:
            os.write(2, f"worker: {type(error).__name__}: {error}\n".encode())
        os._exit(code)
    late, status = _wait(job, start + asked.wall_s + _GRACE_S)
    if not walls.namespaced:
        processes.kill_descendants()
    supervisor.send(sock, JobEnd(late, status, time.monotonic() - start))
    # A job that died before it read its payload leaves the stream out of step.
    return status == 0 or late


def _wait(pid: int, deadline: float) -> tuple[bool, int]:
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    late = not poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if late:
        os.kill(pid, signal.SIGKILL)
    os.close(pidfd)
    return late, os.waitpid(pid, 0)[1]
