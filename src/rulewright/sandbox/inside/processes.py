"""Processes and files of a job that has no namespaces: count, kill, remove.

Also the reading back of result files in every tier: never through a link, never a
device or pipe, never more than the cap.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH101, PTH104, PTH106, PTH108, PTH118, PTH123, PTH208

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the keeper starts without the package
    from .spec import Limits

TICK_S: Final = 0.05
_SCAN_S: Final = 0.25
_GIVE_UP_S: Final = 5.0
# Deeper trees than this are an attack on whoever has to walk them.
_MAX_DEPTH: Final = 100


def descendants() -> list[int]:
    """Every living or dead process below this one, by parent links."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := _parent(int(name))) is not None:
            parents.setdefault(parent, []).append(int(name))
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def kill_descendants() -> list[tuple[int, int]]:
    """Stop, then kill, then reap everything below this process, which must be a subreaper.

    Stopping first keeps a fork bomb from growing while it is being killed.
    """
    ended = reap()
    until = time.monotonic() + _GIVE_UP_S
    # A subreaper without a child has no descendant: no need to look through /proc.
    while _has_children() and time.monotonic() < until:
        alive = descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        time.sleep(0.001)
        ended += reap()
    return ended


def _has_children() -> bool:
    """Whether this process has a child, dead or alive."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap() -> list[tuple[int, int]]:
    """Collect every dead child: (pid, wait status)."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


class Usage:
    """What all processes of a job use together; the only total that this tier has.

    A poll, not a wall: between two looks, `TICK_S` apart, a job can exceed its limit.

    Args:
        limits: the job's.
        workspace: the folder to measure; `None` where its mount has a limit of its own.
    """

    def __init__(self, limits: Limits, workspace: str | None) -> None:
        self._limits, self._workspace = limits, workspace
        self._next_look = time.monotonic() + TICK_S
        self._next_scan = 0.0

    def exceeded(self) -> str:
        """The status that follows from what is used now; empty within limits, and between two looks."""
        if time.monotonic() < self._next_look:
            return ""
        self._next_look = time.monotonic() + TICK_S
        memory = threads = 0
        alive = descendants()
        for pid in alive:
            used, count = _of(pid)
            memory += used
            threads += count
        limit = self._limits.memory_bytes
        # Pages that forks share count in each of them; the dear, exact count decides.
        if memory > limit and sum(map(_proportional, alive)) > limit:
            return "oom"
        if threads > self._limits.pids + 1:
            return "pids_limit"
        now = time.monotonic()
        if self._workspace is not None and now >= self._next_scan:
            if self._disk_exceeded(self._workspace):
                return "disk_limit"
            self._next_scan = time.monotonic() + max(_SCAN_S, time.monotonic() - now)
        return ""

    def _disk_exceeded(self, workspace: str) -> bool:
        used = inodes = 0
        queue = [(workspace, 0)]
        while queue:
            folder, depth = queue.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                inodes += 1
                try:
                    facts = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                used += facts.st_blocks * 512
                if stat.S_ISDIR(facts.st_mode):
                    queue.append((entry.path, depth + 1))
            if used > self._limits.workspace_bytes or inodes > self._limits.inodes or depth > _MAX_DEPTH:
                return True
        return False


def _of(pid: int) -> tuple[int, int]:
    """Bytes of its own or shared memory, and threads.

    Pages mapped from files (libraries) do not count.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return 0, 0
    fields = dict(line.split(b":", 1) for line in lines if b":" in line)
    try:
        kib = sum(int(fields[key].split()[0]) for key in (b"RssAnon", b"RssShmem") if key in fields)
        return kib * 1024, int(fields.get(b"Threads", b"1"))
    except (IndexError, ValueError):
        return 0, 0


def _proportional(pid: int) -> int:
    """Bytes of its own memory, shared pages by share."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return _of(pid)[0]
    return 1024 * sum(
        int(line.split()[1]) for line in lines if line.startswith((b"Pss_Anon:", b"Pss_Shmem:"))
    )


def remove_tree(top: str) -> None:
    """Remove a hostile tree: deep, unreadable, oddly named; no recursion, no long path.

    Folders inside folders are moved up to the top before their own are emptied, so that
    no path grows. Never call it where something may be mounted below.
    """
    prefix, serial = f".gone-{os.urandom(8).hex()}", 0
    os.chmod(top, 0o700)
    while entries := list(os.scandir(top)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)  # a folder is moved by writing its parent link
                    os.rename(inner.path, os.path.join(top, f"{prefix}-{serial}"))
                    serial += 1
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
    os.rmdir(top)


def collect(workspace: str, names: Iterable[str], cap: int) -> dict[str, bytes | None]:
    """Read named result files back; `None` where there is no such regular file."""
    return {name: _read_regular(workspace, name, cap) for name in names}


def _read_regular(workspace: str, name: str, cap: int) -> bytes | None:
    folder = os.open(workspace, os.O_PATH | os.O_DIRECTORY)
    try:
        *parents, last = name.split("/")
        for part in parents:  # no component may be a link
            inner = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    finally:
        os.close(folder)
    with open(fd, "rb") as stream:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > cap:
            return None
        return stream.read(cap)
