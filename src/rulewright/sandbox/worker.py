"""One warm worker, seen from the driver: start it, send a job, read the result."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from rulewright import console
from rulewright.errors import RulewrightError
from rulewright.sandbox import cgroups
from rulewright.sandbox.inside.spec import Hello, JobEnd, JobReport, JobStart, frame, read_frame
from rulewright.sandbox.job import Job, Result, Status
from rulewright.sandbox.keeper import remove_cgroups
from rulewright.sandbox.layout import Layout

_MAX_FRAME_BYTES: Final = 256 << 20
# A worker that has not answered this long after the job's deadline is replaced.
_PATIENCE_S: Final = 20.0
_START_S: Final = 120.0


class WorkerLost(Exception):
    """The worker died or hung: our failure, to be tried once more on another."""


class KeeperClient:
    """The driver's end of the keeper process, one a sandbox."""

    def __init__(self, scratch: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock = ours
        script = Path(__file__).with_name("keeper.py")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(script), str(theirs.fileno()), str(scratch),
             str(os.getpid())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True, env={}, cwd="/",
        )  # fmt: skip
        theirs.close()

    def ask(self, request: Mapping[str, Any], descriptors: tuple[int, ...] = ()) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            WorkerLost: the keeper is gone.
            OSError: it could not do what was asked.
        """
        try:
            socket.send_fds(self._sock, [json.dumps(request).encode()], list(descriptors))
            answer = self._sock.recv(1 << 20)
        except OSError as error:
            raise WorkerLost(f"the keeper is gone ({error})") from error
        if not answer:
            raise WorkerLost("the keeper is gone")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            raise OSError(reply["error"])
        return reply

    def close(self) -> None:
        """Let the keeper end its workers and clean up; wait for it."""
        self._sock.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class Worker:
    """A started fork server of one preload class."""

    def __init__(
        self, keeper: KeeperClient, layout: Layout, home: cgroups.Home, preload: str, name: str
    ) -> None:
        self._keeper, self._tier = keeper, layout.tier
        self.preload = preload
        self.n_jobs = 0
        self.usable = True
        """False once it died with a job whose outcome is known all the same; close it."""
        self._group = cgroups.Group(home, name)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        ours, theirs = socket.socketpair()
        self._sock = ours
        argv, env, user = layout.command(preload, memory_cgroup=home.memory is not None)
        with theirs:
            reply = keeper.ask(
                {"do": "start", "argv": argv, "env": env, "cgroups": self._group.paths, "user": user},
                (theirs.fileno(), self._errors.fileno()),
            )
        self.pid: int = reply["pid"]
        try:
            kind, _ = self._frame(time.monotonic() + _START_S)
        except WorkerLost as lost:
            message = self.errors() or str(lost)
            self.close()
            raise WorkerLost(message) from lost
        if kind != Hello.__name__:
            raise RulewrightError(f"sandbox worker spoke out of turn: {kind!r}", "report this as a bug")
        self._group.settle()

    def errors(self) -> str:
        """What the worker itself wrote to stderr, last lines first to be read."""
        self._errors.seek(0)
        return console.clean(self._errors.read(65536).decode("utf-8", "replace")).strip()[-2000:]

    def run(self, job: Job) -> Result:
        """Run one job to its end.

        Raises:
            WorkerLost: the worker is unusable; close it.
        """
        payload = frame(vars(JobStart(job.limits.wall_s))) + frame(job.spec().to_json())
        deadline = time.monotonic() + job.limits.wall_s + _PATIENCE_S
        self._group.arm(job.limits)
        self.n_jobs += 1
        start = time.monotonic()
        found: JobReport | None = None
        try:
            self._sock.settimeout(_PATIENCE_S)
            self._sock.sendall(payload)
            while True:
                kind, value = self._frame(deadline)
                if kind == JobEnd.__name__:
                    break
                found = JobReport.from_json(value)
        except (OSError, WorkerLost) as error:
            if self._group.oom():  # the worker died for the job's memory
                self.usable = False
                return self._lost(job, start, Status.OOM)
            raise WorkerLost(self.errors() or f"{type(error).__name__}: {error}") from error
        end = JobEnd(**value)
        return self._without_report(job, end) if found is None else self._result(job, found, end)

    def _without_report(self, job: Job, end: JobEnd) -> Result:
        if self._group.oom():
            result = self._lost(job, time.monotonic() - end.wall_s, Status.OOM)
        elif end.late:
            result = self._lost(job, time.monotonic() - end.wall_s, Status.TIMEOUT)
        else:
            raise WorkerLost(self.errors() or f"the job's supervisor died (wait status {end.wait_status})")
        self.usable = end.wait_status == 0 or end.late
        return result

    def _lost(self, job: Job, start: float, status: Status) -> Result:
        wall_s = time.monotonic() - start
        return Result(status, None, "", "", wall_s, 0.0, self._group.peak_bytes(), self._tier, "output lost")

    def _result(self, job: Job, found: JobReport, end: JobEnd) -> Result:
        wait_status = found.wait_status
        exit_code = (
            os.WEXITSTATUS(wait_status) if wait_status is not None and os.WIFEXITED(wait_status) else None
        )
        number = os.WTERMSIG(wait_status) if wait_status is not None and os.WIFSIGNALED(wait_status) else 0
        status, detail = self._status(found.reason, exit_code, number)
        if number == signal.SIGKILL and status is Status.SIGNAL and found.cpu_s >= job.limits.cpu_s:
            status, detail = Status.TIMEOUT, "CPU time used up"
        return Result(
            status=status,
            exit_code=exit_code if status in (Status.OK, Status.FAIL) else None,
            stdout=_text(found.stdout),
            stderr=_text(found.stderr),
            wall_s=end.wall_s,
            cpu_s=found.cpu_s,
            memory_peak_bytes=self._group.peak_bytes() or found.max_rss_bytes,
            tier=self._tier,
            detail=detail,
            files=found.files,
            report=found.report,
        )

    def _status(self, reason: str, exit_code: int | None, number: int) -> tuple[Status, str]:
        if reason:
            return Status(reason), reason.replace("_", " ")
        if number == signal.SIGXCPU:
            return Status.TIMEOUT, "CPU time used up"
        if exit_code == 0:
            return Status.OK, ""
        if self._group.oom():
            return Status.OOM, "memory limit"
        if self._group.pids_refused():
            return Status.PIDS_LIMIT, "process limit"
        if number:
            return Status.SIGNAL, f"killed by {signal.Signals(number).name}"
        return Status.FAIL, f"exit code {exit_code}"

    def _frame(self, deadline: float) -> tuple[str, dict[str, Any]]:
        """The next frame's kind and content."""

        def read(n: int) -> bytes:
            if n > _MAX_FRAME_BYTES:
                raise WorkerLost(f"frame of {n} bytes")
            data = bytearray()
            while len(data) < n:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WorkerLost("no answer in time")
                self._sock.settimeout(left)
                try:
                    part = self._sock.recv(min(n - len(data), 1 << 20))
                except OSError as error:
                    raise WorkerLost(f"no answer ({error})") from error
                if not part:
                    raise WorkerLost("the worker ended")
                data += part
            return bytes(data)

        kind, value = read_frame(read)
        return kind, value

    def close(self) -> None:
        """End the worker and everything in it."""
        self._sock.close()
        known = False
        with contextlib.suppress(WorkerLost):
            known = self._keeper.ask({"do": "kill", "pid": self.pid})["known"]
        if not known:  # its keeper died, and it with that
            remove_cgroups(self._group.paths, _PATIENCE_S)
        self._errors.close()


def _text(data: bytes) -> str:
    return console.clean(data.decode("utf-8", "replace"))
