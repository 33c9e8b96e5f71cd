"""Rows in the real layouts of the sources, written for these tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rulewright import cli, jsonl
from rulewright.data import store
from rulewright.data.schemas import SPLITS, NormalizedRecord


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def commit_row(i: int, **changes: Any) -> dict[str, Any]:
    """A row in CommitPackFT's columns; every `i` gives another edit of another repository."""
    body = "".join(f"    step_{i}_{k} = load('{i}-{k}')\n" for k in range(6))
    return {
        "commit": f"{i:040x}",
        "old_file": f"pkg/mod_{i}.py",
        "new_file": f"pkg/mod_{i}.py",
        "old_contents": f"def fetch_{i}(x):\n{body}    if x == None:\n        return {i}\n",
        "new_contents": f"def fetch_{i}(x):\n{body}    if x is None:\n        return {i}\n",
        "subject": f"Use is None in fetch number {i}",
        "message": f"Use is None in fetch number {i}\n\nChange-Id: I{i:08x}\n",
        "lang": "Python",
        "license": "mit",
        "repos": f"owner{i}/repo{i},Owner{i}/Repo{i}",
        **changes,
    }


Ingest = Callable[..., int]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "processed"


@pytest.fixture
def ingest(out: Path) -> Ingest:
    """Run `rulewright ingest` in this process with one worker; give the exit code."""

    def call(*arguments: object, workers: int = 1) -> int:
        words = ["ingest", *map(str, arguments), "--workers", str(workers)]
        if "--out" not in words:
            words += ["--out", str(out)]
        return cli.main(words)

    return call


def records(folder: Path, source: str) -> list[NormalizedRecord]:
    """All records of a source, in split order."""
    paths = (store.split_path(folder, split, source) for split in SPLITS)
    return [record for path in paths if path.exists() for record in store.load(path)]


def rejects(folder: Path, source: str) -> list[dict[str, Any]]:
    return list(jsonl.read(store.rejects_path(folder, source)))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the internal ones."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


@pytest.fixture
def lay() -> SimpleNamespace:
    """The helpers above, for tests that cannot import this file."""
    return SimpleNamespace(
        write=write_rows, commit_row=commit_row, records=records, rejects=rejects, bytes_of=bytes_of
    )
