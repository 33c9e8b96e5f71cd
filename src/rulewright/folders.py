"""Create a folder atomically: it is complete or absent, even if the process is killed.

Invariant: `make_whole` renames a finished folder into place, so its name never stands for
half of it. What a killed process left beside it is removed by the next one.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from rulewright import console
from rulewright.errors import RulewrightError, UsageError, why
from rulewright.locks import Lock


def make_whole(folder: Path, make: Callable[[Path], None], is_whole: Callable[[], bool]) -> bool:
    """Create a folder unless it exists; return whether it was created now. Only one process works at a
    time; the others wait.

    Args:
        folder: where it is to be; what stands there and is not whole is replaced.
        make: fills an empty folder beside it.
        is_whole: looks at `folder`.

    Raises:
        RulewrightError: the disk is full, or the folder cannot be written.
    """
    try:
        with Lock.take(folder, wait=True):
            for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
                shutil.rmtree(left, ignore_errors=True)
            if is_whole():
                return False
            part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            part.mkdir()
            try:
                make(part)
                if folder.exists():
                    shutil.rmtree(folder)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error.strerror or str(error)) from error
    return True


def files_below(folder: Path, skipped: Container[str]) -> Iterator[Path]:
    """The files below a folder, or a file itself, in order: without links, and what lies in folders of these
    names. A folder that cannot be read is named.
    """
    if folder.is_file():
        yield folder
        return
    try:
        inside = sorted(path for path in folder.iterdir() if not path.is_symlink())
    except OSError as error:
        console.say(f"left out: {folder}: {why(error)}")
        return
    yield from (path for path in inside if path.is_file())
    for path in inside:
        if path.is_dir() and path.name not in skipped:
            yield from files_below(path, skipped)


def require_writable(folder: Path) -> None:
    """Find out before the work, not after it, that its result could not be written.

    Raises:
        UsageError: the folder, or the nearest one above it that exists, is a file or write-protected.
    """
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not nearest.is_dir():
        raise UsageError(f"{nearest}: is a file, expected a folder", "name another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"{nearest}: is write-protected", "name another folder")


def cannot_write(folder: Path, reason: str) -> RulewrightError:
    """The failure of a disk, in one message."""
    return RulewrightError(
        f"{folder}: cannot be written ({reason})",
        "free some disk space or choose another folder, then run again; nothing incomplete was left behind",
    )
