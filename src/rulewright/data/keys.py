"""The keys of edits for deduplication: columns of fixed types, on disk.

Invariant: the same edits give the same bytes. Columns are read and gathered as memory maps, so
that memory does not grow with the number of edits.
"""

from __future__ import annotations

import errno
import io
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from rulewright.data import signatures
from rulewright.data.schemas import NormalizedRecord
from rulewright.data.shards import whole
from rulewright.digests import text_number

_TYPES: Final[dict[str, Any]] = {
    "exact": np.uint64, "code": np.uint32, "change": np.uint32, "n_shingles": np.uint32, "group": np.uint64,
    "commits": np.uint64, "commit_ends": np.int64, "split": np.uint8, "preference": np.uint32,
    "seeded": np.bool_, "ids": "S40", "lines": np.int64, "language": np.uint8,
}  # fmt: skip
COLUMNS: Final = tuple(_TYPES)
_WIDTHS: Final = {"exact": 2, "code": signatures.N_PERMUTATIONS, "change": signatures.N_CHANGE_PERMUTATIONS}
Columns = Mapping[str, Any]
"""Name to array: `[n]`, `[n, width]`, and `commits` with all commits of all edits, one after another."""


def enter(
    columns: dict[str, list[Any]],
    record: NormalizedRecord,
    edit: signatures.EditTokens,
    rank: int,
    seeded: bool,
    split: int,
) -> None:
    """Enter a record; `lines` and `language` are the caller's."""
    code, n_shingles = edit.code_signature()
    columns["exact"].append(edit.exact_key())
    columns["code"].append(code)
    columns["change"].append(edit.change_signature())
    columns["n_shingles"].append(n_shingles)
    columns["group"].append(text_number(record.metadata.group))
    columns["commits"].extend(map(text_number, record.metadata.commits))
    columns["commit_ends"].append(len(columns["commits"]))
    columns["split"].append(split)
    columns["preference"].append(preference(record, rank))
    columns["seeded"].append(seeded)
    columns["ids"].append(record.metadata.id)


def preference(record: NormalizedRecord, rank: int) -> int:
    """The lower, the better a copy is: known license, own instruction, better source."""
    unknown = record.metadata.license == "unknown"
    made_up = "instruction_fallback" in record.tags
    return (unknown * 2 + made_up) * 100 + rank


def arrays(columns: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Columns as arrays of fixed types and shapes, also where there is no row."""
    made = {}
    for name, values in columns.items():
        array = np.array(values, dtype=_TYPES[name])
        made[name] = array.reshape(-1, _WIDTHS[name]) if name in _WIDTHS else array
    return made


def save(path: Path, columns: Columns) -> None:
    with whole(path) as stream:
        for name in COLUMNS:
            # numpy writes to a real file by itself, and does not say why it cannot.
            held = io.BytesIO()
            np.save(held, columns[name], allow_pickle=False)
            stream.write(held.getbuffer())


def load(path: Path) -> dict[str, Any]:
    found = {}
    with path.open("rb") as stream:
        for name in COLUMNS:
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            place = stream.tell()
            n_bytes = int(np.prod(shape)) * dtype.itemsize
            found[name] = np.memmap(path, dtype, "r", place, shape) if n_bytes else np.empty(shape, dtype)
            stream.seek(place + n_bytes)
    return found


def mapped(stream: IO[bytes], kind: Any, shape: tuple[int, ...]) -> Any:
    """An array in a file. Its room is taken at once: a page that finds none later would kill the process."""
    n_bytes = math.prod(shape) * np.dtype(kind).itemsize
    if not n_bytes:
        return np.empty(shape, kind)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, n_bytes)
        except OSError as error:  # some file systems cannot
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    return np.memmap(stream, kind, "w+", shape=shape)


def gather(paths: Sequence[Path], folder: Path) -> dict[str, Any]:
    """The columns of many files, one after another, in files of `folder`."""
    sizes = [(len(part["ids"]), len(part["commits"])) for part in map(load, paths)]
    n, n_commits = (sum(size[i] for size in sizes) for i in (0, 1))
    made: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        shape = (n_commits if name == "commits" else n, *([_WIDTHS[name]] if name in _WIDTHS else []))
        with tempfile.TemporaryFile(dir=folder) as stream:
            made[name] = mapped(stream, kind, shape)
    row = commit = 0
    for path, size in zip(paths, sizes):
        part = load(path)
        for name in COLUMNS:
            first, count = (commit, size[1]) if name == "commits" else (row, size[0])
            made[name][first : first + count] = part[name]
        made["commit_ends"][row : row + size[0]] += commit
        row, commit = row + size[0], commit + size[1]
    return made
