"""Replace the text of the user's files atomically, one by one or all or none; name what is not yet whole.

A file is written next to its target, under a name that identifies its owner, and then renamed. A killed
run can leave such files behind; the next run that writes there removes them (`clear`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from rulewright.errors import RulewrightError, UsageError, few, why

SHOWN: Final = 5
"""Files that a message names one by one."""
PREFIX: Final = ".rulewright-"
OLD_S: Final = 24 * 3600
"""After so many seconds no run still writes a file, wherever it ran."""
_OURS: Final = re.compile(r"(\.?[a-z-]+-)([0-9a-f]{8})-([0-9]+)-[a-z0-9_]{8}")


class Replacement(NamedTuple):
    """A file, the text that was read from it, and the text that it gets."""

    path: Path
    before: str
    after: str


class _Ready(NamedTuple):
    """A file that is written, and what it is to replace."""

    part: Path
    target: Path
    path: Path
    """The target as it was named."""


def read_text(path: Path, hint: str = "files must be UTF-8 text") -> str:
    """The text of a file, line ends as they are.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({why(error)})", hint) from error


def why_not_writable(path: Path) -> str:
    """Why this person may not change a file; empty where they may.

    A file is replaced, not written over: without this its own permissions would count for nothing.
    """
    if not os.access(path, os.W_OK):
        return "read-only"
    return "" if os.access(path.parent, os.W_OK | os.X_OK) else "in a read-only folder"


def replace_all(changes: Iterable[Replacement], whole: bool = False) -> list[tuple[Path, str]]:
    """Write every file beside its target first, then put each in its place.

    Permissions and, where that is allowed, owners are kept; a link is refused, for what it names may
    lie anywhere.

    Args:
        changes: the files, each once.
        whole: undo what was done if one of them cannot be put in its place.

    Returns:
        The files that could not be replaced, each with the reason; all others were. None with `whole`.

    Raises:
        RulewrightError: a file is a link, has changed meanwhile or cannot be written; the hint says
            whether any was replaced.
    """
    ready: list[_Ready] = []
    at = Path()
    try:
        for change in changes:
            at = change.path
            _prepare(change, ready)
        return _all_in_place(ready) if whole else _each_in_place(ready)
    except OSError as error:
        raise RulewrightError(f"{at}: cannot be written ({why(error)})", "no file was changed") from error
    finally:
        for one in ready:
            one.part.unlink(missing_ok=True)


def _prepare(change: Replacement, ready: list[_Ready]) -> None:
    """Write a file beside its target."""
    at = change.path
    if at.is_symlink():
        raise RulewrightError(f"{at}: is a link", "name the file itself")
    near = ready[-1] if ready else None
    folder = near.target.parent if near is not None and near.path.parent == at.parent else at.parent.resolve()
    target = folder / at.name
    if read_text(target) != change.before:
        raise RulewrightError(f"{at}: changed while the action ran", "no file was changed; run it again")
    if refused := why_not_writable(target):
        raise RulewrightError(
            f"{at}: {refused}", "no file was changed; leave this file out, or make it writable"
        )
    if all(one.target.parent != target.parent for one in ready[-1:]):
        clear(target.parent.glob(f"{PREFIX}*"))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=name_begin())
    ready.append(_Ready(Path(name), target, at))
    with os.fdopen(handle, "wb") as stream:
        stream.write(change.after.encode("utf-8"))
        os.fsync(stream.fileno())
    _keep_owner_and_mode(Path(name), target.stat())


def _each_in_place(ready: Sequence[_Ready]) -> list[tuple[Path, str]]:
    refused = []
    for one in ready:
        try:
            one.part.replace(one.target)
        except OSError as error:
            refused.append((one.path, f"cannot be written ({why(error)})"))
    return refused


def _all_in_place(ready: Sequence[_Ready]) -> list[tuple[Path, str]]:
    """Replace all files; where one cannot be, put the earlier ones back."""
    done: list[tuple[Path, _Ready]] = []
    spare: set[Path] = set()
    try:
        for one in ready:
            second = _second_name(one.target)
            spare.add(second)
            one.part.replace(one.target)
            done.append((second, one))
        return []
    except BaseException as error:
        stayed = _put_back(done)
        # What cannot be put back is the only copy of its text.
        spare -= {second for second, _ in stayed}
        if not isinstance(error, OSError):
            raise
        raise RulewrightError(f"{one.path}: cannot be written ({why(error)})", _told(stayed)) from error
    finally:
        for second in spare:
            second.unlink(missing_ok=True)


def _second_name(target: Path) -> Path:
    """Another name for what a file is now; a copy where the file system has one name a file."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=name_begin())
    os.close(handle)
    second = Path(name)
    second.unlink()
    try:
        second.hardlink_to(target)
    except OSError:
        try:
            shutil.copy2(target, second)
            _keep_owner_and_mode(second, target.stat())
        except OSError:
            second.unlink(missing_ok=True)
            raise
    return second


def _put_back(done: Sequence[tuple[Path, _Ready]]) -> list[tuple[Path, Path]]:
    """Give files back what they were; those for which that fails, each after what holds its text."""
    stayed = []
    for second, one in reversed(done):
        try:
            second.replace(one.target)
        except OSError:
            stayed.append((second, one.path))
    return stayed[::-1]


def clear(found: Iterable[Path]) -> None:
    """Remove temporary files of a killed run next to these files, and no others."""
    for path in found:
        named = _OURS.fullmatch(path.name)
        if named is None or named[1] != PREFIX:
            continue
        with suppress(OSError):
            is_old = time.time() - path.stat().st_mtime > OLD_S
            if path.is_file() and not path.is_symlink() and (is_old or maker_is_gone(path)):
                path.unlink()


def maker_is_gone(path: Path) -> bool:
    """Whether a name begins as `name_begin` says, for a process of this machine that has ended."""
    named = _OURS.fullmatch(path.name)
    if named is None or named[2] != _machine():
        return False
    try:
        os.kill(int(named[3]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def name_begin(prefix: str = PREFIX) -> str:
    """How the names begin of what this process makes and may have to leave behind."""
    return f"{prefix}{_machine()}-{os.getpid()}-"


@cache
def _machine() -> str:
    """Eight letters for the machine or container whose process numbers ours are."""
    numbers = ""
    with suppress(OSError):
        numbers = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{os.uname().nodename} {numbers}".encode()).hexdigest()[:8]


def _keep_owner_and_mode(part: Path, old: os.stat_result) -> None:
    if (old.st_uid, old.st_gid) != (part.stat().st_uid, part.stat().st_gid):
        with suppress(PermissionError):
            os.chown(part, old.st_uid, old.st_gid)
    part.chmod(old.st_mode & 0o7777)


def _told(stayed: Sequence[tuple[Path, Path]]) -> str:
    """What is left of a change that was undone."""
    if not stayed:
        return "no file was changed"
    names = [f"{path} (as it was: {second.name})" for second, path in stayed]
    return f"could not be put back: {few(names, SHOWN)}; the others are as they were"
