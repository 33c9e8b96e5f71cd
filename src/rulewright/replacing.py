"""Replace the text of a person's files: all of them or none, as far as the system lets it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from rulewright.errors import RulewrightError, UsageError, why

SHOWN: Final = 5
"""Files that a message names one by one."""


class Replacement(NamedTuple):
    """A file, the text that was read from it, and the text that it gets."""

    path: Path
    before: str
    after: str


def read_text(path: Path) -> str:
    """The text of a file, line ends as they are.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({why(error)})", "files must be UTF-8 text") from error


def why_not_writable(path: Path) -> str:
    """Why this person may not change a file; empty where they may.

    A file is replaced, not written over: without this its own permissions would count for nothing.
    """
    if not os.access(path, os.W_OK):
        return "read-only"
    return "" if os.access(path.parent, os.W_OK | os.X_OK) else "in a read-only folder"


def replace_all(changes: Iterable[Replacement]) -> None:
    """Write every file beside its target first, then put all in place.

    Permissions and, where that is allowed, owners are kept; a link is refused, for what it names may
    lie anywhere.

    Raises:
        RulewrightError: a file is a link, has changed meanwhile or cannot be written; the hint says
            whether any was replaced.
    """
    ready: list[tuple[Path, Path]] = []
    done: list[Path] = []
    at = Path()
    try:
        for change in changes:
            at = change.path
            if at.is_symlink():
                raise RulewrightError(f"{at}: is a link", "name the file itself")
            target = at.resolve()
            if read_text(target) != change.before:
                raise RulewrightError(
                    f"{at}: changed while the action ran", "no file was changed; run it again"
                )
            if refused := why_not_writable(target):
                raise RulewrightError(
                    f"{at}: {refused}", "no file was changed; leave it out, or allow writing"
                )
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".rulewright-")
            ready.append((Path(name), target))
            with os.fdopen(handle, "wb") as stream:
                stream.write(change.after.encode("utf-8"))
                os.fsync(stream.fileno())
            _keep_owner_and_mode(Path(name), target.stat())
        for part, target in ready:
            at = target
            part.replace(target)
            done.append(target)
    except OSError as error:
        raise RulewrightError(f"{at}: cannot be written ({why(error)})", _told(done)) from error
    finally:
        for part, _ in ready[len(done) :]:
            part.unlink(missing_ok=True)


def _keep_owner_and_mode(part: Path, old: os.stat_result) -> None:
    if (old.st_uid, old.st_gid) != (part.stat().st_uid, part.stat().st_gid):
        with suppress(PermissionError):
            os.chown(part, old.st_uid, old.st_gid)
    part.chmod(old.st_mode & 0o7777)


def _told(done: Sequence[Path]) -> str:
    """What was done before writing failed."""
    if not done:
        return "no file was changed"
    more = f" and {len(done) - SHOWN} more" if len(done) > SHOWN else ""
    return f"changed already: {', '.join(map(str, done[:SHOWN]))}{more}; the others are as they were"
