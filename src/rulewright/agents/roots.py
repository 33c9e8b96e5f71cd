"""The files that a client may read (below the roots) and write (below the write roots).

Paths are checked after every `..` and link is resolved. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rulewright.errors import UsageError


@dataclass(frozen=True)
class Roots:
    """The folders that a client may use, as real paths.

    Args:
        read: folders that may be read; relative paths begin at the first.
        write: folders that may be written as well.
    """

    read: tuple[Path, ...]
    write: tuple[Path, ...] = ()

    @classmethod
    def of(cls, read: Sequence[Path], write: Sequence[Path]) -> Roots:
        """The roots for the folders that the user named.

        Raises:
            UsageError: one is no folder.
        """
        for folder in (*read, *write):
            if not folder.is_dir():
                raise UsageError(f"{folder}: no such folder", "name folders of code")
        inner = tuple(folder.resolve() for folder in write)
        return cls((*(folder.resolve() for folder in read), *inner), inner)

    @property
    def home(self) -> Path:
        """The folder at which relative paths begin."""
        return self.read[0]

    def resolve(self, name: str) -> Path:
        """The real path of a name, relative to `home` if it is below that.

        Raises:
            UsageError: it is outside the roots, or does not exist.
        """
        if "\0" in name or not name:
            raise UsageError("a path is empty or contains a NUL character", "name a file or folder")
        real = Path(os.path.realpath(self.home / name))
        if not self.contains(real):
            # The message does not tell whether such a file exists.
            raise UsageError(
                f"{name}: outside the folders that this server may read",
                f"name paths below {_listed(self.read)}, or start the server with more of them",
            )
        try:
            there = real.exists()
        except OSError:
            there = False
        if not there:
            raise UsageError(f"{name}: no such file or folder", f"relative paths begin at {self.home}")
        return Path(os.path.relpath(real, self.home)) if _below(real, (self.home,)) else real

    def contains(self, path: Path) -> bool:
        """Whether a real path is below a root."""
        return _below(path, self.read)

    def may_read(self, name: str) -> bool:
        """Whether a client may read a path; an sgconfig.yml may name folders outside of the roots."""
        return self.contains(Path(os.path.realpath(self.home / name)))

    def resolve_all(self, names: Iterable[str]) -> list[Path]:
        """The real paths of several names, each once."""
        return list(dict.fromkeys(self.resolve(name) for name in names))

    def check_write(self, paths: Iterable[Path]) -> None:
        """Refuse paths that are not below a write root, or are named through a link.

        Raises:
            UsageError: one may not be written.
        """
        if not self.write:
            raise UsageError(
                "this server may not write",
                "show the diff to the user, or start the server with --allow-write ROOT",
            )
        for path in paths:
            whole = self.home / path
            if Path(os.path.realpath(whole)) != Path(os.path.normpath(whole)):
                raise UsageError(
                    f"{path}: is a symbolic link, or is reached through one", "name the file by its real path"
                )
            if not _below(Path(os.path.normpath(whole)), self.write):
                raise UsageError(
                    f"{path}: outside the folders that this server may write",
                    f"name files below {_listed(self.write)}",
                )


def _below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _listed(roots: Sequence[Path]) -> str:
    return " or ".join(dict.fromkeys(map(str, roots)))
