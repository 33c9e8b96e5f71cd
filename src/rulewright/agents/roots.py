"""Which files a client may name: those below the roots, and for writing those below the write roots.

Paths are judged by what they come to, with every `..` and link followed. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rulewright.errors import UsageError


@dataclass(frozen=True)
class Roots:
    """Folders, each as its real path.

    Args:
        read: what may be read; relative paths are those of the first.
        write: what may be written, too.
    """

    read: tuple[Path, ...]
    write: tuple[Path, ...] = ()

    @classmethod
    def of(cls, read: Sequence[Path], write: Sequence[Path]) -> Roots:
        """Check the folders that a person named.

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
        """Where relative paths begin."""
        return self.read[0]

    def take(self, name: str) -> Path:
        """The real path that a client named, from `home` where it lies below that.

        Raises:
            UsageError: it lies outside of the roots, or is not there.
        """
        if "\0" in name or not name:
            raise UsageError("a path is empty or holds a NUL", "name a file or folder")
        real = Path(os.path.realpath(self.home / name))
        if not self.reads(real):
            # Whether such a file exists is not said either.
            raise UsageError(
                f"{name}: outside of the folders that this server reads",
                f"name paths below {_listed(self.read)}, or start the server with more of them",
            )
        try:
            there = real.exists()
        except OSError:
            there = False
        if not there:
            raise UsageError(f"{name}: no such file or folder", f"relative paths begin at {self.home}")
        return Path(os.path.relpath(real, self.home)) if _below(real, (self.home,)) else real

    def reads(self, path: Path) -> bool:
        """Whether a real path lies below a root."""
        return _below(path, self.read)

    def hold(self, name: str) -> bool:
        """Whether a path may be read: an sgconfig.yml may name folders elsewhere."""
        try:
            self.take(name)
        except UsageError:
            return False
        return True

    def take_all(self, names: Iterable[str]) -> list[Path]:
        """Several paths, each once."""
        return list(dict.fromkeys(self.take(name) for name in names))

    def check_write(self, paths: Iterable[Path]) -> None:
        """Refuse to write what is not below a write root by its own, real name.

        Raises:
            UsageError: one may not be written.
        """
        if not self.write:
            raise UsageError(
                "this server may not write",
                "show the diff to the person, or start it with --allow-write ROOT",
            )
        for path in paths:
            whole = self.home / path
            if Path(os.path.realpath(whole)) != Path(os.path.normpath(whole)):
                raise UsageError(f"{path}: is a link, or lies behind one", "name the file by its real path")
            if not _below(Path(os.path.normpath(whole)), self.write):
                raise UsageError(
                    f"{path}: outside of the folders that may be written",
                    f"name files below {_listed(self.write)}",
                )


def _below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _listed(roots: Sequence[Path]) -> str:
    return " or ".join(dict.fromkeys(map(str, roots)))
