"""Real code on this machine: its files, their groups and licenses.

Invariant: the same folders with the same content give the same list in the same
order, whatever the folders are called elsewhere. Nothing is parsed here.
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from rulewright import console
from rulewright.errors import UsageError, why
from rulewright.languages import Language, language_of_path
from rulewright.synth.kinds import GroupBy

MAX_FILE_BYTES: Final = 400_000
_SKIPPED_FOLDERS: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".tox", ".mypy_cache"}
)
_ROOT_MARKS: Final = (
    "package.json",
    "pyproject.toml",
    "setup.py",
    "go.mod",
    "pom.xml",
    "build.gradle",
    ".git",
)
_DECLARATIONS: Final = (".d.ts", ".d.mts", ".d.cts")


@dataclass(frozen=True)
class SourceFile:
    """One file of real code, not yet read."""

    path: Path
    name: str
    """Relative path with the folder's label in front; names the file in records."""
    language: Language
    group: str
    license: str


@dataclass(frozen=True)
class Unusable:
    """A file that gives nothing, and why."""

    reason: str


def standard_library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def find(
    folders: Sequence[Path],
    languages: Iterable[Language],
    group_by: GroupBy = "package",
    license_name: str = "",
) -> list[SourceFile]:
    """List the source files under the folders, sorted, each once.

    Args:
        folders: repositories, package folders or single files.
        languages: of the files wanted.
        group_by: `package` takes the nearest project (a folder with `package.json`, `go.mod`,
            `.git`, …) or else the top-level name under the folder; `file` every file by itself.
        license_name: SPDX id of all files; empty looks for the nearest `package.json` and takes
            `unknown` where there is none. The standard library is `psf-2.0`.

    Raises:
        UsageError: a folder does not exist.
    """
    wanted = set(languages)
    files: dict[Path, SourceFile] = {}
    library = standard_library()
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"{folder}: no such folder", "name a folder of source code with --source-dir")
        is_library = folder.resolve() == library.resolve()
        named = folder.resolve() if folder.is_dir() else folder.resolve().parent
        label = "stdlib" if is_library else named.name
        for path in _walk(folder, skip_site_packages=is_library):
            language = language_of_path(path)
            if language not in wanted or path.name.endswith(_DECLARATIONS) or ".min." in path.name:
                continue
            inner = path.relative_to(folder) if path != folder else Path(path.name)
            name = f"{label}/{inner.as_posix()}"
            files.setdefault(
                path.resolve(),
                SourceFile(
                    path,
                    name,
                    language,
                    name if group_by == "file" else _package(folder, inner, label),
                    license_name or ("psf-2.0" if is_library else _license_of(path.parent, folder)),
                ),
            )
    return sorted(files.values(), key=lambda file: file.name)


def _walk(folder: Path, skip_site_packages: bool) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        console.say(f"left out: {folder}: {why(error)}")
        return
    for path in inside:
        if path.is_symlink():
            continue
        if path.is_dir():
            if path.name in _SKIPPED_FOLDERS or (skip_site_packages and path.name == "site-packages"):
                continue
            yield from _walk(path, skip_site_packages)
        elif path.is_file():
            yield path


def _package(folder: Path, inner: Path, label: str) -> str:
    """The project a file belongs to: what must not straddle splits."""
    parts = inner.parts
    if "node_modules" in parts:
        at = len(parts) - 1 - parts[::-1].index("node_modules")
        depth = 2 if parts[at + 1].startswith("@") else 1
        return f"npm:{'/'.join(parts[at + 1 : at + 1 + depth])}"
    for parent in inner.parents:
        if parent != Path() and any((folder / parent / mark).exists() for mark in _ROOT_MARKS):
            return f"{label}/{parent.as_posix()}"
    if label == "stdlib" and len(parts) > 2 and parts[0] == "test":
        return f"{label}/test/{parts[1]}"
    if label == "stdlib" and len(parts) > 1 and parts[0] == "test":
        return f"{label}/test/{Path(parts[1]).stem}"
    return f"{label}/{Path(parts[0]).stem}"


@lru_cache(maxsize=100_000)
def _license_of(folder: Path, top: Path) -> str:
    described = folder / "package.json"
    if described.is_file():
        try:
            named = json.loads(described.read_text(encoding="utf-8")).get("license")
        except (OSError, ValueError, AttributeError):
            named = None
        if isinstance(named, str) and named:
            return named.lower()
    if folder == top or folder.parent == folder:
        return "unknown"
    return _license_of(folder.parent, top)


def read(file: SourceFile) -> str | Unusable:
    r"""Read a file as UTF-8 with `\n` line ends, or say why it is of no use here."""
    try:
        size = file.path.stat().st_size
        if size > MAX_FILE_BYTES:
            return Unusable("too large")
        text = file.path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return Unusable("not UTF-8")
    except OSError:
        return Unusable("unreadable")
    if not text.strip():
        return Unusable("empty")
    if "\0" in text:
        return Unusable("binary")
    if "ast-grep-ignore" in text:
        return Unusable("holds suppression comments")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\r" in text or "\f" in text:
        return Unusable("odd line ends")
    if max(map(len, text.split("\n"))) > 2_000:
        return Unusable("minified or generated")
    return text
