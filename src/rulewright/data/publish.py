"""Remove duplicates: the shards of all sources → their split files and metadata.

Invariant: the output depends on the shards and the order of the sources, never on how often the pass ran
or where it was killed. A source is rewritten only if the selection of its records has changed (a later
source has a better copy, or no longer has one). Its metadata are removed first and written last, followed
by the marker of the selection.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from rulewright import jsonl
from rulewright.data import dedup, index, keys, store
from rulewright.data.index import Ingested
from rulewright.data.schemas import SPLITS
from rulewright.data.shards import Shard, read_summary, shard_path
from rulewright.data.sources import SOURCES
from rulewright.errors import RulewrightError, why
from rulewright.folders import cannot_write
from rulewright.languages import LANGUAGES

SUPERSEDED: Final = "superseded"
_NOT_KEYS: Final = frozenset({"ids", "lines", "language"})


def publish(out: Path, newest: Ingested) -> None:
    """Write the files of a source, and those of others that gain or lose records by it.

    Args:
        out: e.g. `data/processed`; only one pass at a time may work there.
        newest: what is written in any case; finished or not.

    Raises:
        RulewrightError: no record of the newest source is left; nothing is written.
    """
    # Without those whose files the user took away after they were written.
    others = [
        one
        for one in index.others(out, newest.name)
        if store.metadata_path(out, one.name).exists() or not index.published_mark(out, one.name).exists()
    ]
    sources = sorted([*others, newest], key=lambda one: one.order)
    with _scratch(out / ".index" / ".pass") as folder:
        try:
            choice = _choose(out, [one for one in sources if one.is_compared], folder)
        except OSError as error:
            raise cannot_write(folder, why(error)) from error
        for source in sources:
            fates, mark = choice.of(source), index.published_mark(out, source.name)
            digest = fates.digest()
            if source is newest or not mark.exists() or mark.read_text(encoding="utf-8") != digest:
                mark.unlink(missing_ok=True)
                _write(out, source, fates)
                jsonl.write_text(mark, digest)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Choice:
    """Which records of the compared sources are copies of which."""

    sources: Sequence[Ingested]
    firsts: Sequence[int]
    """Where the edits of each source begin among all."""
    ids: Any
    """`[n]`, of all edits."""
    decision: dedup.Decision

    def of(self, source: Ingested) -> _Fates:
        if not source.is_compared:
            return _Fates(np.zeros(source.n_records, dtype=np.uint8), self)
        number = self.sources.index(source)
        first = self.firsts[number]
        return _Fates(self.decision.reason[first : first + source.n_records], self, number)


@dataclass(frozen=True)
class _Fates:
    """What the choice means for the records of one source."""

    reasons: NDArray[np.uint8]
    """`[n_records]`: 0 where a record is kept."""
    choice: _Choice
    number: int = 0
    """Of the source among those compared."""

    def told(self, i: int) -> tuple[str, str]:
        """Why the i-th record is dropped, and for which better copy."""
        choice = self.choice
        better = int(choice.decision.because[choice.firsts[self.number] + i])
        owner = int(np.searchsorted(choice.firsts, better, "right")) - 1
        reason = SUPERSEDED if owner > self.number else dedup.REASONS[self.reasons[i]]
        return reason, f"as {choice.ids[better].decode()} of {choice.sources[owner].name}"

    def digest(self) -> str:
        digest = hashlib.sha256(self.reasons.tobytes())
        for i in np.flatnonzero(self.reasons):
            digest.update("\0".join(self.told(int(i))).encode())
        return digest.hexdigest()

    def earlier(self) -> Sequence[Ingested]:
        """The sources that were there when this one came, as far as they are compared."""
        return self.choice.sources[: self.number]


def _choose(out: Path, sources: Sequence[Ingested], folder: Path) -> _Choice:
    paths = [
        shard_path(index.folder_of(out, one.name), n, "keys") for one in sources for n in range(one.n_units)
    ]
    columns = keys.gather(paths, folder)
    sizes = [one.n_records for one in sources]
    known = {name: column for name, column in columns.items() if name not in _NOT_KEYS}
    owners = np.repeat(np.arange(len(sources), dtype=np.uint32), sizes)
    thresholds = np.array([one.near_threshold for one in sources])
    decision = dedup.choose(dedup.Keys(source=owners, **known), thresholds, folder)
    return _Choice(sources, [0, *accumulate(sizes)][:-1], columns["ids"], decision)


def _write(out: Path, source: Ingested, fates: _Fates) -> None:
    """Write a source's records to their splits, its rejects and, last, its metadata."""
    folder = index.folder_of(out, source.name)
    shards = [read_summary(folder, number) for number in range(source.n_units)]
    dropped = sum((shard.dropped for shard in shards), Counter[str]())
    n_rows = sum(shard.n_rows for shard in shards)
    first = 0
    with store.Writer(out, source.name) as writer:
        with jsonl.atomic(store.rejects_path(out, source.name)) as rejects:
            for shard in shards:
                with shard_path(folder, shard.number, "rejects").open("rb") as stream:
                    shutil.copyfileobj(stream, rejects, 1 << 20)
                dropped += _write_shard(folder, shard, first, source.whole_rejects, fates, writer, rejects)
                first += shard.n_kept
        is_new = not (folder / "result.json").exists()
        if is_new and not writer.splits.total() and not SOURCES[source.source].tasks_only:
            raise _nothing_left(out, source, dropped, n_rows)
    facts = source.facts
    others = {one.name: store.read_metadata(out, one.name) for one in fates.earlier()}
    writer.finish(
        version=facts.version,
        license=facts.license,
        downloaded_at=facts.downloaded_at,
        inputs=facts.inputs,
        against=facts.against,
        notes=facts.notes,
        rows_in=n_rows,
        dropped=dict(sorted(dropped.items())),
        flagged=dict(sorted(sum((shard.flagged for shard in shards), Counter[str]()).items())),
        compared_with={name: other.sha256 for name, other in others.items() if other is not None},
        made_by=index.MADE_BY,
    )


def _write_shard(
    folder: Path, shard: Shard, first: int, whole_rejects: bool, fates: _Fates, writer: store.Writer,
    rejects: BinaryIO,
) -> Counter[str]:  # fmt: skip
    """Write a shard's kept records to their splits and its copies to the rejects; count these."""
    copies: Counter[str] = Counter()
    columns = keys.load(shard_path(folder, shard.number, "keys"))
    with shard_path(folder, shard.number, "records").open("rb") as stream:
        for i, line in enumerate(stream):
            if not fates.reasons[first + i]:
                language = LANGUAGES[int(columns["language"][i])]
                writer.add_line(line.rstrip(b"\n"), language, SPLITS[int(columns["split"][i])])
                continue
            reason, detail = fates.told(first + i)
            copies[reason] += 1
            row = json.loads(line) if whole_rejects else None
            place = f"{shard.path}:{columns['lines'][i]}"
            rejects.write(store.reject_line(reason, place, row, detail).encode() + b"\n")
    return copies


def _nothing_left(out: Path, source: Ingested, reasons: Counter[str], n_rows: int) -> RulewrightError:
    error = store.empty(source.name, reasons, n_rows)
    error.hint = f"no record was written; every row with its reason: {store.rejects_path(out, source.name)}"
    if reasons["license"]:
        error.hint = "state the license with --license if you know it, or allow more with --allow-licenses"
    elif reasons["language"] > n_rows / 2:
        error.hint = (
            "the rows name no language, and no path that tells it: say it once with --language python"
        )
    elif SOURCES[source.source].note:
        error.hint = SOURCES[source.source].note
    return error
