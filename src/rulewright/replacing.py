"""Replace the text of a person's files: all of them or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rulewright.errors import RulewrightError, UsageError, why


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


def replace_all(changes: Iterable[Replacement]) -> None:
    """Write every file beside its target first, then put all in place.

    Permissions are kept; a link is refused, for what it names may lie anywhere.

    Raises:
        RulewrightError: a file is a link, has changed meanwhile or cannot be written; none was replaced.
    """
    ready: list[tuple[Path, Path]] = []
    try:
        for change in changes:
            if change.path.is_symlink():
                raise RulewrightError(f"{change.path}: is a link", "name the file itself")
            target = change.path.resolve()
            if read_text(target) != change.before:
                raise RulewrightError(f"{change.path}: changed while the action ran", "run it again")
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            ready.append((Path(name), target))
            with os.fdopen(handle, "wb") as stream:
                stream.write(change.after.encode("utf-8"))
                os.fsync(stream.fileno())
            Path(name).chmod(target.stat().st_mode & 0o7777)
        for part, target in ready:
            part.replace(target)
        ready.clear()
    except OSError as error:
        raise RulewrightError(f"cannot write: {why(error)}", "no file was changed") from error
    finally:
        for part, _ in ready:
            part.unlink(missing_ok=True)
