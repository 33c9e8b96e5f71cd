"""Find the rows of a source: in files, git repositories, a repository's layout, or the hub.

Input errors are reported here, before any work starts: a missing path, a Git-LFS pointer, a web page
saved as data, columns of another data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from rulewright.data import files, readers, store
from rulewright.data.index import Facts
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import SOURCES, Source, columns, fixtures, git, rules, smellycode
from rulewright.digests import file_sha256
from rulewright.errors import UsageError, few

_COMMITS_PER_UNIT: Final = 200
_ROWS_PER_UNIT: Final = 100
_CANITEDIT: Final = frozenset({"instruction_descriptive", "instruction_lazy"})


class Inputs(Protocol):
    """Checked inputs."""

    def units(self) -> Iterator[readers.Unit]:
        """The work, in order."""

    def stamps(self) -> dict[str, str]:
        """What tells these inputs from others, cheaply: a resumed run must have the same."""

    def facts(self) -> Facts:
        """For the metadata; reads every input once more, for its SHA-256."""


@dataclass(frozen=True)
class Files:
    paths: list[Path]
    revision: str = ""

    def units(self) -> Iterator[readers.Unit]:
        return readers.number(piece for path in self.paths for piece in readers.pieces(path))

    def stamps(self) -> dict[str, str]:
        facts = ((path, path.stat()) for path in self.paths)
        return {str(path): f"{stat.st_size} bytes of {stat.st_mtime_ns}" for path, stat in facts}

    def facts(self) -> Facts:
        digests = {str(path): file_sha256(path) for path in self.paths}
        return Facts(
            version=self.revision or store.combined(digests),
            license="",
            downloaded_at=store.as_of(self.paths),
            inputs=digests,
        )


@dataclass(frozen=True)
class Repositories:
    """Local git repositories; the history that HEAD had when the run began."""

    paths: list[Path]
    heads: dict[str, str]

    def units(self) -> Iterator[readers.Unit]:
        return readers.number(piece for path in self.paths for piece in self._pieces(path))

    def _pieces(self, path: Path) -> Iterator[readers.Unit]:
        head = self.heads[str(path)]
        known = {"repository": str(path), "repo": git.name_of(path), "license": git.license_at(path, head)}
        rows = ({**row, **known} for row in git.commits(path, head))
        return readers.packed(str(path), rows, n_rows=_COMMITS_PER_UNIT)

    def stamps(self) -> dict[str, str]:
        return dict(self.heads)

    def facts(self) -> Facts:
        dates = [git.date_of(Path(path), head) for path, head in self.heads.items()]
        return Facts(
            version=store.combined(self.heads),
            license="",
            downloaded_at=datetime.fromtimestamp(max(dates), UTC),
            inputs={path: f"git:{head}" for path, head in self.heads.items()},
        )


@dataclass(frozen=True)
class FolderRows:
    """Files in folders that together make rows: a checkout of SmellyCode, ast-grep rule packs."""

    paths: tuple[Path, ...]
    license: str
    rows: Callable[[tuple[Path, ...]], Iterator[dict[str, Any]]]

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for row in self.rows(self.paths):
            digest.update(json.dumps(row, sort_keys=True).encode())
        return digest.hexdigest()

    def units(self) -> Iterator[readers.Unit]:
        place = str(self.paths[0])
        return readers.number(readers.packed(place, self.rows(self.paths), n_rows=_ROWS_PER_UNIT))

    def stamps(self) -> dict[str, str]:
        return {", ".join(map(str, self.paths)): self._digest}

    def facts(self) -> Facts:
        stamps = self.stamps()
        inside = [p for path in self.paths for p in (path.rglob("*") if path.is_dir() else (path,))]
        return Facts(
            store.combined(stamps), self.license, store.as_of([p for p in inside if p.is_file()]), stamps
        )


def find(source: Source, given: Sequence[str], config: IngestConfig, revision: str = "") -> Inputs:
    """Check the inputs of a source.

    Raises:
        UsageError: one is absent, is not data, or has not the columns the source needs.
    """
    if source.name == "git":
        repositories = [
            git.require_repository(inner) for path in given for inner in git.repositories_in(Path(path))
        ]
        return Repositories(repositories, {str(path): git.head_of(path) for path in repositories})
    if source.name == "smellycode" and len(given) == 1 and list(Path(given[0]).glob("*/SmellyUnannotated")):
        return FolderRows((Path(given[0]),), "mit", lambda paths: smellycode.rows_of(paths[0]))
    if source.name == "rules":
        absent = [path for path in given if not Path(path).exists()]
        if absent:
            raise UsageError(
                f"{absent[0]}: no such file or folder", "name rule files, rule packs or catalogs"
            )
        return FolderRows(tuple(map(Path, given)), "", rules.rows_of)
    if source.name == "fixtures":
        return FolderRows(tuple(map(Path, given)), "per row", fixtures.rows_of)
    if source.name == "agentpack" and not Path(config.clones or "-").is_dir():
        raise UsageError(
            "agentpack: its rows are patches without the files they apply to"
            + (f", and {config.clones} is no folder" if config.clones else ""),
            "give --clones FOLDER with local clones of the repositories (OWNER/NAME); "
            "rows without a clone are counted as `no_clone`",
        )
    paths = files.find(given)
    for path in paths:
        _check_columns(source, path, config.mapping)
    return Files(paths, revision)


def _check_columns(source: Source, path: Path, mapping: Mapping[str, str]) -> None:
    names = files.columns_of(path)
    if source.name == "jsonl":
        if set(names) >= _CANITEDIT:
            raise UsageError(
                f"{path}: this is CanItEdit, which is for evaluation only",
                "use `rulewright ingest canitedit`: it goes to the test split and nowhere else",
            )
        lacking = columns.missing(names, mapping)
        if lacking and (what := files.rows_of_another_kind(names)):
            raise UsageError(f"{path}: {what[0]}; expected rows with an old and a new side", what[1])
        if lacking:
            raise UsageError(
                f"{path}: the columns lack {'; '.join(lacking)}; it has {few(names, 20)}",
                "say which column is which: --columns pre=THEIRS post=THEIRS instruction=THEIRS",
            )
        return
    if any(layout <= set(names) for layout in source.layouts):
        return
    nearest = min(source.layouts, key=lambda layout: len(layout - set(names)))
    raise UsageError(
        f"{path}: not the layout of {source.name}: it lacks {', '.join(sorted(nearest - set(names)))}; "
        f"there are {few(names, 20)}",
        _better_source(set(names), path),
    )


def _better_source(names: set[str], path: Path) -> str:
    fits = [s.name for s in SOURCES.values() if any(layout <= names for layout in s.layouts)]
    if fits:
        return f"it looks like {' or '.join(fits)}"
    if not columns.missing(sorted(names), {}):
        return f"it has an old and a new side: try `rulewright ingest jsonl --input {path}`"
    return "check that it is the file you mean, or map its columns with `rulewright ingest jsonl --columns …`"
