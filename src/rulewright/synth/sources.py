"""Real code on this machine: its files, their groups and licenses.

Invariant: the same folders with the same content give the same list in the same
order, whatever the folders are called elsewhere. Nothing is parsed here.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rulewright.data import licenses
from rulewright.data.drafts import Drop
from rulewright.errors import UsageError
from rulewright.folders import files_below
from rulewright.languages import Language, language_of_path
from rulewright.synth.kinds import GroupBy

MAX_FILE_BYTES: Final = 400_000
_SKIPPED: Final = frozenset({".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".tox", ".mypy_cache"})
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
        for path in files_below(folder, _SKIPPED | ({"site-packages"} if is_library else set())):
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
                    license_name
                    or ("psf-2.0" if is_library else licenses.of_package(path.parent, folder))
                    or licenses.UNKNOWN,
                ),
            )
    return sorted(files.values(), key=lambda file: file.name)


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


def read(file: SourceFile) -> str | Drop:
    r"""Read a file as UTF-8 with `\n` line ends, or say why it is of no use here."""
    try:
        if file.path.stat().st_size > MAX_FILE_BYTES:
            return Drop("too large")
        text = file.path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return Drop("not UTF-8")
    except OSError:
        return Drop("unreadable")
    if not text.strip():
        return Drop("empty")
    if "\0" in text:
        return Drop("binary")
    if "ast-grep-ignore" in text:
        return Drop("holds suppression comments")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if "\r" in text or "\f" in text:
        return Drop("odd line ends")
    if max(map(len, text.split("\n"))) > 2_000:
        return Drop("minified or generated")
    return text
