"""The keeper: a small process that owns a sandbox's workers and cleans up after its owner.

It is the parent of every worker (so that `--die-with-parent` means what it says, whatever
thread of the trainer asked), holds their cgroups and scratch folder, and watches the
trainer through a pidfd: when that ends, however it ends, the keeper kills the workers,
removes what they left and ends itself. Standard library only; runs no untrusted code.
"""

# Descriptors, links and /proc: the calls of `os` say what is meant.
# ruff: noqa: PTH100, PTH102, PTH103, PTH106, PTH112, PTH118, PTH120, PTH123

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

if __name__ == "__main__":  # started by path, without the package
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from inside import kernel  # type: ignore[import-not-found]
    from inside.processes import remove_tree  # type: ignore[import-not-found]
else:
    from rulewright.sandbox.inside import kernel
    from rulewright.sandbox.inside.processes import remove_tree

_MAX_MESSAGE: Final = 1 << 20
_SOCKET_FD: Final = 3
_GIVE_UP_S: Final = 5.0
_SOON_S: Final = 0.5


def main() -> None:
    """Serve the driver on a descriptor until it is gone: `keeper.py DESCRIPTOR SCRATCH DRIVER_PID`."""
    descriptor, scratch, driver = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    if descriptor != _SOCKET_FD:
        os.dup2(descriptor, _SOCKET_FD)
        os.close(descriptor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    keeper = Keeper(socket.socket(fileno=_SOCKET_FD), scratch)
    try:
        keeper.serve(driver)
    finally:
        keeper.clean_up()


class Keeper:
    """Workers by pid, and the cgroups made for them."""

    def __init__(self, sock: socket.socket, scratch: Path) -> None:
        self._sock, self._scratch = sock, scratch
        self._workers: dict[int, list[str]] = {}
        self._busy: list[str] = []
        """Groups of dead workers that could not be removed yet."""
        self._staged = ""

    def serve(self, driver: int) -> None:
        """Answer requests until the driver's process or its end of the socket is gone."""
        try:
            pidfd = os.pidfd_open(driver)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self._sock, select.POLLIN | select.POLLHUP)
        while True:
            ready = {fd for fd, _ in poll.poll(1000)}
            self._reap()
            self._busy = remove_cgroups(self._busy, 0.0)
            if pidfd in ready:
                return
            if self._sock.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._sock, _MAX_MESSAGE, 4)
        except ConnectionError:
            return False
        if not message:
            return False
        request = json.loads(message)
        try:
            reply = getattr(self, f"_do_{request.pop('do')}")(descriptors, **request)
        except OSError as error:
            reply = {"error": str(error)}
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            self._sock.send(json.dumps(reply).encode())
        except ConnectionError:
            return False
        return True

    def _do_stage(self, _: list[int], sources: list[str], folder: str) -> dict[str, Any]:
        """Bind folders where every user may look them up, in a mount namespace of our own."""
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        os.makedirs(folder, exist_ok=True)
        kernel.mount("tmpfs", folder, "tmpfs", 0, "mode=0755,size=16m")
        self._staged = folder
        staged = []
        for i, source in enumerate(sources):
            target = os.path.join(folder, str(i))
            if os.path.isdir(source):
                os.mkdir(target)
                kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
                # The originals: nothing here, not even a mistake of ours, may write to them.
                kernel.mount("none", target, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY)
            else:
                # A copy: a mount of a file that is replaced meanwhile (ld.so.cache, at every
                # installation) cannot be mounted again for the next worker.
                Path(target).write_bytes(Path(source).read_bytes())
                Path(target).chmod(0o644)
            staged.append(target)
        return {"staged": staged}

    def _do_start(
        self,
        descriptors: list[int],
        argv: list[str],
        env: dict[str, str],
        cgroups: list[str],
        user: int | None,
    ) -> dict[str, Any]:
        """Start one worker with its socket on descriptor 3; `descriptors` are socket and stderr."""
        for path in cgroups:
            os.makedirs(path, exist_ok=True)
        pid = os.fork()
        if pid == 0:
            _exec_worker(descriptors, argv, env, cgroups, user)
        self._workers[pid] = cgroups
        return {"pid": pid}

    def _do_kill(self, _: list[int], pid: int) -> dict[str, Any]:
        known = pid in self._workers
        if known:
            self._kill(pid)
        return {"known": known}

    def _kill(self, pid: int) -> None:
        cgroups = self._workers.pop(pid)
        _signal(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._kill_strays(cgroups)
        self._busy += remove_cgroups(cgroups, _SOON_S)

    def _kill_strays(self, cgroups: list[str]) -> None:
        """Kill what a worker without a pid namespace left to us, its subreaper."""
        until = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < until:
            strays = _members(cgroups)
            with contextlib.suppress(FileNotFoundError):
                children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
                strays |= {int(word) for word in children.split()} - self._workers.keys()
            if not strays:
                return
            for stray in strays:
                _signal(stray)
            self._reap()
            time.sleep(0.002)

    def _reap(self) -> None:
        """Collect dead children; a worker's own death is the driver's to notice (its socket closes)."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            cgroups = self._workers.pop(pid, None)
            if cgroups is not None:
                self._kill_strays(cgroups)
                self._busy += remove_cgroups(cgroups, _SOON_S)

    def clean_up(self) -> None:
        """End everything that is left and remove its traces."""
        for pid in list(self._workers):
            _signal(pid)
        for pid in list(self._workers):
            self._kill(pid)
        self._kill_strays([])
        remove_cgroups(self._busy, _GIVE_UP_S)
        if self._staged:
            kernel.detach(self._staged)
        remove_folder(self._scratch)


def _exec_worker(
    descriptors: list[int], argv: list[str], env: dict[str, str], cgroups: list[str], user: int | None
) -> NoReturn:
    try:
        for path in cgroups:
            Path(path, "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        if user is not None:
            kernel.become(user, user)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        sock, errors = (os.dup(descriptor) for descriptor in descriptors)
        null = os.open("/dev/null", os.O_RDWR)
        for target, source in ((0, null), (1, null), (2, errors), (3, sock)):
            os.dup2(source, target, inheritable=True)
        os.closerange(4, 1024)
        os.chdir("/")
        os.execve(argv[0], argv, env)
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    os._exit(127)


def remove_folder(folder: Path) -> None:
    """Remove a folder of ours; does nothing where anything is still mounted at or below it.

    What the stage mounts are the machine's own files: a removal that walked into them
    would destroy the machine.
    """
    top = os.path.realpath(folder)
    if not os.path.isdir(top):
        return
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        points = [line.split()[4] for line in stream]
    if not any(point == top or point.startswith(top + "/") for point in points):
        remove_tree(top)


def _members(cgroups: list[str]) -> set[int]:
    found = set()
    for path in cgroups:
        try:
            found |= {int(word) for word in Path(path, "cgroup.procs").read_text(encoding="ascii").split()}
        except OSError:
            continue
    return found


def remove_cgroups(cgroups: list[str], patience_s: float) -> list[str]:
    """Remove groups; those that are still busy after a while (a process is slow to die) are given back."""
    until = time.monotonic() + patience_s
    left = list(cgroups)
    while left:
        left = [path for path in left if not _remove_cgroup(path)]
        if not left or time.monotonic() >= until:
            break
        time.sleep(0.005)
    return left


def _remove_cgroup(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:  # its last process is still dying
        return False
    return True


def _signal(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
