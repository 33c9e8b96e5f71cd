"""The supervisor: reads a job, starts its candidate, enforces time and size limits, kills, reports.

It holds the connection to the driver and is undumpable; the candidate inherits
neither. What a candidate wrote is only ever read as capped bytes.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH102, PTH103, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import socket
import tempfile
import time
from functools import partial
from os import _exit  # bound before a candidate can put something else in its place
from typing import Any, Final, NoReturn

from . import candidate, jail, kernel, processes
from .spec import Hello, JobEnd, JobReport, Spec, Walls, frame, read_frame

REPORT_FD: Final = 3
_BLOCK: Final = 65536


def send(sock: socket.socket, message: Hello | JobReport | JobEnd) -> None:
    """One frame to the driver: the message's kind and its content."""
    value = message.to_json() if isinstance(message, JobReport) else vars(message)
    sock.sendall(frame([type(message).__name__, value]))


def read_exactly(sock: socket.socket, n: int) -> bytes:
    """Read n bytes and not one more: what follows is for another process to read."""
    parts = []
    while n:
        part = sock.recv(min(n, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def supervise(sock: socket.socket, walls: Walls, prepared: Any) -> NoReturn:
    """Be the supervisor of one job; ends the process."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    spec = Spec.from_json(read_frame(partial(read_exactly, sock)))
    if walls.namespaced:
        workspace, tests = jail.WORKSPACE, jail.TESTS
        jail.mount_workspace(spec.limits.workspace_bytes, spec.limits.inodes, walls.covered)
    else:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        workspace = tempfile.mkdtemp(prefix="job-", dir=walls.scratch)
        tests = os.path.join(workspace, ".tests")
    try:
        _lay_out(spec, walls, workspace, tests)
        report = _Watch(spec, walls, prepared, (workspace, tests)).run()
    finally:
        if not walls.namespaced:
            processes.kill_descendants()
            processes.remove_tree(workspace)
    send(sock, report)
    os._exit(0)


def _lay_out(spec: Spec, walls: Walls, workspace: str, tests: str) -> None:
    for name, data in spec.files.items():
        _write(workspace, name, data)
    if not spec.tests:
        return
    if walls.namespaced:
        jail.mount_tests(2 * sum(map(len, spec.tests.values())) + (1 << 20))
    else:
        os.mkdir(tests)
    for name, data in spec.tests.items():
        _write(tests, name, data)
    if walls.namespaced:
        jail.seal_tests()


def _write(folder: str, name: str, data: bytes) -> None:
    path = os.path.join(folder, name)
    if "/" in name:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(data)


class _Stream:
    """One pipe of the candidate, read up to a cap."""

    def __init__(self, cap: int) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.cap = cap
        self.data = bytearray()
        self.open = True
        self.over = False

    def pump(self) -> None:
        """Take what is there now."""
        while self.open and not self.over:
            try:
                block = os.read(self.read_end, _BLOCK)
            except BlockingIOError:
                return
            if not block:
                self.close()
                return
            self.data += block
            if len(self.data) > self.cap:
                del self.data[self.cap :]
                self.over = True

    def close(self) -> None:
        """Stop reading."""
        if self.open:
            self.open = False
            os.close(self.read_end)


class _Watch:
    """One candidate from start to death."""

    def __init__(self, spec: Spec, walls: Walls, prepared: Any, folders: tuple[str, str]) -> None:
        self._spec, self._walls, self._prepared = spec, walls, prepared
        self._workspace, self._tests = folders
        self._limits = spec.limits
        self._reports = spec.entry.kind == "checks"
        # What neither a cgroup nor a mount limits has to be looked at while it runs.
        self._usage: processes.Usage | None = None
        if not walls.namespaced or not walls.memory_cgroup:
            folder = None if walls.namespaced else self._workspace
            self._usage = processes.Usage(self._limits, folder)
        self._reason = ""
        self._status: int | None = None

    def run(self) -> JobReport:
        """Start the candidate, watch it to its end, and say how it went."""
        stdin = self._stdin()
        out, err = (_Stream(self._limits.output_bytes) for _ in range(2))
        report = _Stream(self._limits.report_bytes) if self._reports else None
        streams = [out, err] if report is None else [out, err, report]
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._become_candidate(stdin, streams)
        for stream in streams:
            os.close(stream.write_end)
        self._watch(pid, streams, start + self._limits.wall_s)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return JobReport(
            reason=self._reason,
            wait_status=self._status,
            stdout=bytes(out.data),
            stderr=bytes(err.data),
            report=b"" if report is None else bytes(report.data),
            cpu_s=used.ru_utime + used.ru_stime,
            max_rss_bytes=used.ru_maxrss * 1024,
            files=processes.collect(self._workspace, self._spec.collect, self._limits.file_bytes),
        )

    def _stdin(self) -> int:
        if not self._spec.stdin:
            return os.open("/dev/null", os.O_RDONLY)
        fd = os.memfd_create("stdin")
        with open(fd, "wb", closefd=False) as stream:
            stream.write(self._spec.stdin)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def _become_candidate(self, stdin: int, streams: list[_Stream]) -> NoReturn:
        code = 70
        try:
            os.setsid()
            self._arrange_descriptors([stdin, *(stream.write_end for stream in streams)])
            os.chdir(self._workspace)
            jail.confine(self._walls, self._limits, self._prepared, self._workspace)
            code = candidate.run(self._spec.entry, self._workspace, self._tests)
        except BaseException as error:
            os.write(2, f"sandbox: {type(error).__name__}: {error}\n".encode())
        _exit(code)

    def _arrange_descriptors(self, wanted: list[int]) -> None:
        """Leave 0, 1, 2 and, for instrumented tests, 3; in particular not the driver's socket."""
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in wanted]
        for target, fd in enumerate(moved):
            os.dup2(fd, target, inheritable=target < REPORT_FD)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        os.closerange(REPORT_FD + 1 if self._reports else REPORT_FD, highest + 1)

    def _watch(self, pid: int, streams: list[_Stream], deadline: float) -> None:
        pidfd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        by_fd = {stream.read_end: stream for stream in streams}
        for fd in by_fd:
            poll.register(fd, select.POLLIN | select.POLLHUP)
        tick = processes.TICK_S if self._usage else 1.0
        while self._status is None and not self._reason:
            left = deadline - time.monotonic()
            if left <= 0:
                self._reason = "timeout"
                break
            for fd, _ in poll.poll(min(left, tick) * 1000 + 1):
                if fd in by_fd:
                    self._pump(by_fd[fd], poll)
            if self._usage and not self._reason:
                self._reason = self._usage.exceeded()
            self._note(pid, processes.reap())  # in a namespace of its own this process is init
        self._kill_all(pid)
        for stream in streams:  # with all writers dead this is what was left in the pipe
            stream.pump()
            if stream.over:
                self._reason = self._reason or "output_limit"
            stream.close()

    def _pump(self, stream: _Stream, poll: Any) -> None:
        fd = stream.read_end
        stream.pump()
        if stream.over or not stream.open:
            poll.unregister(fd)
        if stream.over:
            self._reason = self._reason or "output_limit"

    def _note(self, main: int, ended: list[tuple[int, int]]) -> None:
        for pid, status in ended:
            if pid == main:
                self._status = status

    def _kill_all(self, main: int) -> None:
        if not self._walls.namespaced:
            self._note(main, processes.kill_descendants())
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # everyone in this pid namespace but us
        while True:
            try:
                self._note(main, [os.waitpid(-1, 0)])
            except ChildProcessError:
                return
