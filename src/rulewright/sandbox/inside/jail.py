"""Contain one job: namespaces and mounts, or Landlock; then limits, capabilities, seccomp.

Two processes a job: the server forks the *supervisor* into new namespaces (pid 1 of the
job: lays out the workspace, reads output, kills), the supervisor forks the *candidate*,
the only one that runs what was sent.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH115

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from . import kernel, landlock, seccomp
from .spec import Limits, Walls

WORKSPACE: Final = "/ws"
TESTS: Final = "/tests"

_NAMESPACES: Final = (
    kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
)  # fmt: skip
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def prepare_filter(walls: Walls) -> Any:
    """The seccomp program of this tier, or nothing in the unsafe one."""
    if walls.tier == "unsafe":
        return None
    return seccomp.prepare(seccomp.program(own_network=walls.namespaced, own_user=walls.own_user))


def fork_into_namespaces() -> int:
    """Fork a child with user, mount, network, IPC, host name and pid namespaces of its own.

    In the child (0 is returned there) it is pid 1 and has every capability over what is
    its own. One raw clone(2) instead of unshare and two forks: half the price of a job.
    The interpreter's own fork hooks do not run, which one thread can afford, and the
    next `os.fork` makes up for it.
    """
    uid, gid = os.getuid(), os.getgid()
    pid = kernel.clone(_NAMESPACES | signal.SIGCHLD)
    if pid:
        return pid
    # The maps in /proc belong to root while a process is undumpable.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    # This process's number in the mounted /proc, which still is the outer one.
    own = os.readlink("/proc/self")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        descriptor = os.open(f"/proc/{own}/{name}", os.O_WRONLY)
        os.write(descriptor, text.encode())
        os.close(descriptor)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return 0


def mount_workspace(n_bytes: int, n_inodes: int, covered: Sequence[Sequence[str]] = ()) -> None:
    """Mount this job's own /ws, /tmp, /dev/shm and /proc; they vanish with its last process.

    Bytes and inodes are those of each; `covered` holds (place, path) of read-only trees below /tmp, to be
    seen there as before.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    for target, mode in ((WORKSPACE, "0755"), ("/tmp", "1777"), ("/dev/shm", "1777")):
        kernel.mount("tmpfs", target, "tmpfs", flags, f"size={n_bytes},nr_inodes={n_inodes},mode={mode}")
    for place, path in covered:
        if Path(place).is_dir():
            Path(path).mkdir(parents=True, exist_ok=True)
        else:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
        kernel.mount(place, path, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("proc", "/proc", "proc", flags | kernel.MS_NOEXEC)


def mount_tests(n_bytes: int) -> None:
    """Mount the folder for the driver's own files; `seal_tests` makes it read-only."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", TESTS, "tmpfs", flags, f"size={n_bytes},mode=0755")


def seal_tests() -> None:
    """Make the driver's files read-only for everything that follows in this job."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_REMOUNT | kernel.MS_RDONLY
    kernel.mount("tmpfs", TESTS, None, flags)


def confine(walls: Walls, limits: Limits, prepared: Any, workspace: str) -> None:
    """Close the walls around this process: called in the candidate, last before its code."""
    _set_limits(walls, limits)
    # Where the cgroup runs full, the candidate dies and not the worker.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else the file belongs to root
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if walls.tier == "landlock":
        landlock.restrict((*walls.readable, "/proc/self"), (workspace,), _DEVICES)
    if walls.tier != "unsafe":
        # Reading another user's interpreter may need one capability; Landlock bounds what it reads.
        reading = 0
        if walls.tier == "landlock":
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            mask = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
            reading = mask >> kernel.CAP_DAC_READ_SEARCH & 1
        kernel.set_capabilities(frozenset({kernel.CAP_DAC_READ_SEARCH}) if reading else frozenset())
        seccomp.install(prepared)
    # Its own /proc/self must look as usual to it.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    # As a fresh Python has them.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _set_limits(walls: Walls, limits: Limits) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_STACK: 64 * 1024 * 1024,
    }
    # Without a user namespace the kernel counts all processes of the uid on the machine:
    # a limit on a shared uid would fail for reasons that are not the candidate's.
    if walls.namespaced or walls.own_user:
        wanted[resource.RLIMIT_NPROC] = limits.pids
    for name in ("RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE"):
        if hasattr(resource, name):
            wanted[getattr(resource, name)] = 0
    if not walls.memory_cgroup:
        # Private writable memory; RLIMIT_AS would refuse threads and mapped libraries.
        wanted[resource.RLIMIT_DATA] = limits.memory_bytes
    for which, value in wanted.items():
        kernel.limit(which, value)
    # SIGXCPU first, so that the cause is known; SIGKILL for whoever handles that.
    kernel.limit(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1)
