"""One writer at a time for a file or folder: a lock that says who holds it.

Invariant: the operating system releases the lock when its process ends, however it ends, so
a killed run never has to be cleaned up after. The lock lies beside its target, as
`.NAME.lock`, and is removed when it is released. It is advisory: it keeps our own commands
apart, and holds between machines only where the file system supports `flock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self
from weakref import WeakValueDictionary, finalize

from rulewright import console
from rulewright.errors import RulewrightError, UsageError

_held: WeakValueDictionary[Path, Lock] = WeakValueDictionary()
_WAIT_S = 0.2


class Lock:
    """The right to write a target; use `Lock.take`, and `with`, or `release`."""

    def __init__(self, path: Path, handle: int) -> None:
        self._release = finalize(self, _release, path, handle, os.getpid())

    @classmethod
    def take(cls, target: Path, *, wait: bool = False) -> Lock:
        """Take the lock of a file or folder, which need not be there yet.

        A process that holds it already is given it again.

        Args:
            target: what will be written.
            wait: wait for another holder instead of refusing.

        Raises:
            UsageError: another process holds it, with who and since when.
        """
        # One name for all spellings of a target, and for links to it.
        real = Path(os.path.realpath(target))
        path = real.parent / f".{real.name}.lock"
        mine = _held.get(path)
        if mine is not None and mine._release.alive:
            return mine
        said = False
        while (handle := _try(path)) is None:
            holder = "a process that has only just begun"
            with suppress(OSError, ValueError, KeyError):
                by = json.loads(path.read_text(encoding="utf-8"))
                holder = f"process {by['pid']} on {by['host']}, since {by['since']} ({by['command']})"
            if not wait:
                raise UsageError(
                    f"{target}: another run is writing it: {holder}",
                    "wait until that run has ended, then run this command again (finished work is "
                    "kept), or choose another output",
                )
            if not said:
                console.say(f"{target}: waiting for another run: {holder}")
                said = True
            time.sleep(_WAIT_S)
        lock = cls(path, handle)
        _held[path] = lock
        return lock

    def release(self) -> None:
        """Give the lock back; doing it twice does nothing."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _release(path: Path, handle: int, owner: int) -> None:
    if os.getpid() == owner:  # and not a child that was forked from it
        path.unlink(missing_ok=True)
    os.close(handle)


def _try(path: Path) -> int | None:
    """An open handle that holds the lock, or `None` where another process has it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RulewrightError(
                f"{path}: cannot be written ({error.strerror or error})",
                "choose an output folder that you may write to",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:  # a file system without locks
            console.say(f"{path}: no lock here ({error.strerror}); let only one run write at a time")
        # The earlier holder may have removed the file that we opened.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                break
        os.close(handle)
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(["rulewright", *sys.argv[1:]]),
    }
    os.truncate(handle, 0)
    os.write(handle, json.dumps(holder).encode() + b"\n")
    return handle
