"""Kill a process at the k-th change that it makes to a folder, as `kill -9` or a power button would."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


def changes(work: Callable[[], object], folder: Path) -> int:
    """How often a process changes a folder: files opened for writing, renamed, removed, folders made, …"""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        seen = _Count(folder, 0, False)
        sys.addaudithook(seen)
        _work(work)
        os.write(theirs, str(seen.n).encode())
        os._exit(0)
    os.close(theirs)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(ours) as stream:
        return int(stream.read())


def killed(work: Callable[[], object], folder: Path, before: int, torn: bool) -> None:
    """Do it in a process that is killed before its change number `before`, counted from 1.

    Args:
        work: what is done.
        folder: whose changes are counted.
        before: the change that does not happen any more.
        torn: of what was written to files since the last change but one, half is left.
    """
    child = os.fork()
    if child == 0:
        sys.addaudithook(_Count(folder, before, torn))
        _work(work)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def _work(work: Callable[[], object]) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    try:
        work()
    except BaseException:
        os._exit(9)


class _Count:
    """An audit hook: Python tells of every call that changes a file system before it is made."""

    def __init__(self, folder: Path, last: int, torn: bool) -> None:
        self._folder, self._last, self._torn = folder, last, torn
        self._before = self._files()
        self.n = 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._changes(event, arguments):
            return
        self.n += 1
        if self._torn and self.n == self._last - 1:
            self._before = self._files()
        if self.n != self._last:
            return
        for number, (path, state, text) in self._files().items() if self._torn else ():
            _, earlier, had = self._before.get(number, (path, (), b""))
            if state != earlier and not had.startswith(text):
                kept = len(had) if text.startswith(had) else 0  # an append leaves what was there
                os.truncate(path, kept + (len(text) - kept) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return bool(flags & (os.O_WRONLY | os.O_RDWR)) and self._is_inside(path, -1)
        if event not in _CHANGES:
            return False
        folder = next((value for value in arguments[1:] if type(value) is int and value > 2), -1)
        return self._is_inside(arguments[0], folder if event in ("os.remove", "os.rmdir") else -1)

    def _is_inside(self, path: Any, folder: int) -> bool:
        if isinstance(path, int) or path is None:
            return False
        place = Path(os.fsdecode(path))
        if folder >= 0:
            place = Path(f"/proc/self/fd/{folder}").readlink() / place
        return place.absolute().is_relative_to(self._folder)

    def _files(self) -> dict[int, tuple[Path, tuple[int, int], bytes]]:
        """By its number in the file system, which a new name leaves: where a file is, and what it holds."""
        found = [(path, path.stat()) for path in self._folder.rglob("*") if path.is_file()]
        return {now.st_ino: (path, (now.st_mtime_ns, now.st_size), path.read_bytes()) for path, now in found}
