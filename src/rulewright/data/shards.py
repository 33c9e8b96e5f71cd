"""The files of a shard: what one unit of input became.

Invariant: of a shard's files `keys` is written last; where it exists, the shard is whole.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from rulewright.errors import RulewrightError

_CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES})


@dataclass(frozen=True)
class Shard:
    """What became of a unit."""

    number: int
    path: str
    """Of the input file."""
    n_rows: int
    n_kept: int
    dropped: Counter[str]
    flagged: Counter[str]


def shard_path(work: Path, number: int, kind: str) -> Path:
    """`kind` is `records`, `rejects`, `counts` or `keys`."""
    return work / "shards" / f"{number:07d}.{kind}"


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that appears only when complete, as far as kills go.

    Unlike `jsonl.atomic` it is not forced to disk: that would cost more than the work, and
    work that a power cut damages can be done again (`--overwrite`).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        raise RulewrightError(
            f"{path}: cannot be written ({error.strerror or error})",
            "free some disk space, then run again with --resume: finished shards are kept",
        ) from error


def write_summary(work: Path, shard: Shard) -> None:
    """Write the counts of a shard."""
    counts = {
        "path": shard.path, "rows": shard.n_rows, "kept": shard.n_kept,
        "dropped": shard.dropped, "flagged": shard.flagged,
    }  # fmt: skip
    with whole(shard_path(work, shard.number, "counts")) as stream:
        stream.write(json.dumps(counts).encode())


def read_summary(work: Path, number: int) -> Shard:
    """The counts of a finished shard."""
    facts = json.loads(shard_path(work, number, "counts").read_bytes())
    return Shard(
        number,
        facts["path"],
        facts["rows"],
        facts["kept"],
        Counter(facts["dropped"]),
        Counter(facts["flagged"]),
    )
