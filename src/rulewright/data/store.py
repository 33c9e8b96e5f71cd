"""Processed data on disk: `{train,dev,test}/SOURCE.jsonl` with its metadata beside it.

Invariant: `SOURCE.metadata.json` is written last and removed first; where it exists,
the split files are complete and are those whose SHA-256 it states. Cleaning and
deduplication are not here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from pydantic import ValidationError

from rulewright import jsonl
from rulewright.data.schemas import SPLITS, DatasetMetadata, NormalizedRecord, Split
from rulewright.data.splits import split_of
from rulewright.digests import file_sha256, text_sha256
from rulewright.errors import RulewrightError, UsageError, by_reason, problems_of

# Records of these sources measure models; they must never teach one.
EVALUATION_ONLY: Final = frozenset({"canitedit"})


def load(path: Path | str) -> Iterator[NormalizedRecord]:
    """Yield the records of a `.jsonl` or `.jsonl.gz` file, in order.

    Raises:
        UsageError: the file is absent or not data.
        RulewrightError: a line is not a valid record, with `file:line` and what is wrong.
    """
    path = Path(path)
    for line in jsonl.read_lines(path):
        record = jsonl.validated(line, NormalizedRecord)
        if isinstance(record, str):
            raise RulewrightError(
                f"{path}:{line.number}: not a valid record: {record}",
                "`rulewright stats` lists every such line; ingest the source again",
            )
        yield record


def split_path(out: Path, split: Split, source: str) -> Path:
    return out / split / f"{source}.jsonl"


def metadata_path(out: Path, source: str) -> Path:
    return out / f"{source}.metadata.json"


def rejects_path(out: Path, source: str) -> Path:
    return out / "rejects" / f"{source}.jsonl"


def read_metadata(out: Path, source: str) -> DatasetMetadata | None:
    """A source's metadata, or `None` if it is absent (no source, or unfinished).

    Raises:
        RulewrightError: the file is damaged.
    """
    path = metadata_path(out, source)
    if not path.exists():
        return None
    try:
        return DatasetMetadata.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RulewrightError(
            f"{path}: not a metadata file: {problems_of(error)}", "ingest the source again with --overwrite"
        ) from error


def sources_in(out: Path) -> list[str]:
    """Names of the finished sources of a folder, sorted."""
    return sorted(path.name.removesuffix(".metadata.json") for path in out.glob("*.metadata.json"))


def digest_of(out: Path, source: str) -> str:
    """SHA-256 over a source's split files, in split order: `cat train dev test | sha256sum`."""
    digest = hashlib.sha256()
    for split in SPLITS:
        path = split_path(out, split, source)
        if path.exists():
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def reject_line(reason: str, place: str, row: Mapping[str, Any] | None, detail: str) -> str:
    """One line of a file of rejects."""
    value: dict[str, Any] = {"reason": reason, "place": place}
    if detail:
        value["detail"] = detail
    if row is not None:
        value["row"] = row
    return jsonl.dumps(value, default=str)


class Writer:
    """Writes records to their splits; all files appear together at the end, or none.

    `with Writer(out, source) as writer: writer.add(record, split)`, then `finish`.
    """

    def __init__(self, out: Path, source: str) -> None:
        self.out, self.source = out, source
        self.splits: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self._stack = ExitStack()
        self._streams: dict[Split, BinaryIO] = {}

    def __enter__(self) -> Self:
        metadata_path(self.out, self.source).unlink(missing_ok=True)
        for split in SPLITS:
            file = jsonl.atomic(split_path(self.out, split, self.source))
            self._streams[split] = self._stack.enter_context(file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            for split in SPLITS:
                if not self.splits[split]:
                    split_path(self.out, split, self.source).unlink(missing_ok=True)

    def add(self, record: NormalizedRecord, split: Split) -> None:
        self.add_line(record.to_json().encode("utf-8", "surrogatepass"), record.language, split)

    def add_line(self, line: bytes, language: str, split: Split) -> None:
        """Write a record's ready line (without newline).

        Raises:
            UsageError: an evaluation-only source would enter a training split.
        """
        if split != "test" and self.source in EVALUATION_ONLY:
            raise UsageError(
                f"{self.source}: is for evaluation only and cannot enter the split '{split}'",
                "its license forbids training; it is written to `test` only",
            )
        self._streams[split].write(line + b"\n")
        self.splits[split] += 1
        self.languages[language] += 1

    def finish(self, **facts: Any) -> DatasetMetadata:
        """Write the metadata, with what else is known: the last step, which makes the source exist."""
        metadata = DatasetMetadata(
            source=self.source,
            sha256=digest_of(self.out, self.source),
            num_records=self.splits.total(),
            splits={name: self.splits[name] for name in SPLITS},
            languages=dict(sorted(self.languages.items())),
            **facts,
        )
        jsonl.write_text(metadata_path(self.out, self.source), metadata.model_dump_json(indent=2) + "\n")
        return metadata


def write_dataset(
    records: Iterable[NormalizedRecord],
    out: Path,
    source: str,
    *,
    version: str = "",
    rows_in: int | None = None,
    dropped: Mapping[str, int] | None = None,
    inputs: Sequence[Path] = (),
    split: Callable[[NormalizedRecord], Split] | None = None,
    notes: Sequence[str] = (),
) -> DatasetMetadata:
    """Write records to their splits with metadata, streaming; what `synth` and `mine` use.

    Args:
        records: in the order in which they are to lie in the files.
        out: e.g. `data/processed`.
        source: name of the files; also expected in each record's metadata.
        version: revision or digest of what it was made from; default: of `inputs`.
        rows_in: how many candidates there were; default: records + dropped.
        dropped: reason to count.
        inputs: files it was made from; their SHA-256 is noted.
        split: default `split_of(record.metadata.group)`.
        notes: for whoever uses the data.

    Raises:
        RulewrightError: there was not one record (an empty data set is never a success).
    """
    with Writer(out, source) as writer:
        for record in records:
            where = split(record) if split is not None else split_of(record.metadata.group)
            writer.add(record, where)
        reasons = dict(dropped or {})
        if not writer.splits.total():
            raise empty(source, reasons, rows_in or sum(reasons.values()))
    digests = {str(path): file_sha256(path) for path in inputs}
    return writer.finish(
        version=version or combined(digests),
        license="mixed",
        downloaded_at=as_of(inputs),
        rows_in=rows_in if rows_in is not None else writer.splits.total() + sum(reasons.values()),
        dropped=dict(sorted(reasons.items())),
        inputs=digests,
        notes=list(notes),
    )


def empty(source: str, reasons: Mapping[str, int], rows_in: int) -> RulewrightError:
    """The error for a data set of which nothing was left."""
    why = by_reason(reasons)
    what = f"all {rows_in:,} rows were dropped" if rows_in else "there is no row in the input"
    return RulewrightError(
        f"{source}: {what}" + (f" ({why})" if why else ""),
        "nothing was written; check the reasons, the input and the filters",
    )


def combined(digests: Mapping[str, str]) -> str:
    """One short digest for several files, whatever their order."""
    joined = "\n".join(sorted(digests.values()))
    return "sha256:" + text_sha256(joined)[:16]


def as_of(inputs: Iterable[Path]) -> datetime:
    """When the newest input was last changed (so that a rerun writes the same), else now."""
    times = [path.stat().st_mtime for path in inputs if path.exists()]
    return datetime.fromtimestamp(int(max(times)), UTC) if times else datetime.now(UTC).replace(microsecond=0)
