"""Input files as numbered units of work, each of bounded size.

Plain JSONL is cut at line ends into byte ranges that workers read themselves; gzip is unpacked here and
handed on; parquet is cut at row groups. A row that cannot be read is an item with a problem, never an
exception. `files` has already checked which files exist and that they are data.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

from rulewright import jsonl
from rulewright.data.drafts import Drop
from rulewright.errors import RulewrightError, UsageError, first_line, json_problem

CHUNK_BYTES: Final = 4 * 1024 * 1024
MAX_JSON_BYTES: Final = 1024 * 1024 * 1024


class InputRow(NamedTuple):
    """One row of the input: its place, and its content or the reason why it is unusable."""

    place: str
    value: dict[str, Any] | Drop


class Unit(NamedTuple):
    """A piece of the input that one worker turns into one shard."""

    kind: Literal["range", "lines", "parquet", "rows"]
    path: str
    start: int = 0
    """First byte, or the number of the row group."""
    end: int = 0
    """Byte after the last."""
    first_line: int = 1
    payload: bytes = b""
    """JSON lines, where the worker does not read the file itself."""
    skipped: tuple[int, ...] = ()
    """Lines left out of the payload, for they are too long."""
    number: int = 0
    """Among all pieces of a run's inputs (`number`)."""


def format_of(path: Path) -> Literal["jsonl", "gz", "parquet", "json"]:
    """What a file is, by its first bytes and then by its name."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head[:2] == b"\x1f\x8b":
        return "gz"
    if head == b"PAR1" or path.suffix == ".parquet":
        return "parquet"
    return "json" if path.suffix == ".json" else "jsonl"


def pieces(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Unit]:
    """Cut a file into pieces of about `chunk_bytes`."""
    match format_of(path):
        case "parquet":
            for group in range(open_parquet(path).num_row_groups):
                yield Unit("parquet", str(path), group)
        case "gz":
            yield from _unpacked(path, chunk_bytes)
        case "json":
            yield from _whole(path, chunk_bytes)
        case "jsonl":
            yield from _ranges(path, chunk_bytes)


def number(found: Iterable[Unit]) -> Iterator[Unit]:
    for i, piece in enumerate(found):
        yield piece._replace(number=i)


def items(unit: Unit) -> Iterator[InputRow]:
    match unit.kind:
        case "range":
            with Path(unit.path).open("rb") as stream:
                stream.seek(unit.start)
                yield from _items(stream, unit, unit.end - unit.start)
        case "lines" | "rows":
            for number in unit.skipped:
                yield from _item(unit, number, None)
            yield from _items(io.BytesIO(unit.payload), unit, len(unit.payload))
        case "parquet":
            yield from _parquet_items(Path(unit.path), unit.start)


def _items(stream: BinaryIO, unit: Unit, n_bytes: int) -> Iterator[InputRow]:
    for number, raw in enumerate(jsonl.raw_lines(stream, n_bytes), unit.first_line):
        yield from _item(unit, number, raw)


def _item(unit: Unit, number: int, raw: bytes | None) -> Iterator[InputRow]:
    """The row of a line, if there is one."""
    if (line := jsonl.parse(number, raw)) is not None:
        wrong = Drop(line.reason, line.problem.removeprefix("not JSON: "))
        yield InputRow(f"{unit.path}:{number}", wrong if line.value is None else line.value)


def _ranges(path: Path, chunk_bytes: int) -> Iterator[Unit]:
    size = path.stat().st_size
    start, line = 0, 1
    with path.open("rb") as stream:
        while start < size:
            stream.seek(start)
            chunk = stream.read(chunk_bytes)
            end, n_lines = start + len(chunk), chunk.count(b"\n")
            if not chunk.endswith(b"\n") and end < size:  # go on to the next line end
                n_lines += 1
                while block := stream.read(1 << 20):
                    rest = block.find(b"\n") + 1 or len(block)
                    end += rest
                    if block[rest - 1 : rest] == b"\n":
                        break
            yield Unit("range", str(path), start, end, line)
            start, line = end, line + n_lines


def _unpacked(path: Path, chunk_bytes: int) -> Iterator[Unit]:
    line, first, size = 0, 1, 0
    held: list[bytes] = []
    skipped: list[int] = []
    try:
        with gzip.open(path, "rb") as stream:
            for line, raw in enumerate(jsonl.raw_lines(stream), 1):  # type: ignore[arg-type]
                if raw is None:
                    skipped.append(line)
                held.append(raw or b"\n")
                size += len(held[-1])
                if size >= chunk_bytes:
                    yield Unit("lines", str(path), 0, 0, first, b"".join(held), tuple(skipped))
                    held, skipped, first, size = [], [], line + 1, 0
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as error:
        raise jsonl.broken_off(path, line + 1, error) from error
    if held:
        yield Unit("lines", str(path), 0, 0, first, b"".join(held), tuple(skipped))


def _whole(path: Path, chunk_bytes: int) -> Iterator[Unit]:
    """A JSON file: an array of rows, or an object whose values are arrays: of rows (MaRV), or columns.

    What a data set server wraps around rows is taken off.
    """
    if path.stat().st_size > MAX_JSON_BYTES:
        raise UsageError(f"{path}: larger than {MAX_JSON_BYTES:,} bytes", "convert it to JSON Lines")
    try:
        value = jsonl.decode(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if path.stat().st_size and path.read_bytes()[:1] == b"{":
            yield from _ranges(path, chunk_bytes)  # JSON Lines under another name
            return
        raise UsageError(
            f"{path}: not JSON: {json_problem(error)}", "fix the file, or export it again"
        ) from error
    yield from packed(str(path), _rows_of(value), chunk_bytes)


def packed(
    place: str, rows: Iterable[Any], chunk_bytes: int = CHUNK_BYTES, n_rows: int | None = None
) -> Iterator[Unit]:
    """Rows that are made here, as pieces of about so many bytes, or of so many rows."""
    held: list[bytes] = []
    first, size = 1, 0
    for count, row in enumerate(rows, 1):
        held.append(json.dumps(row).encode() + b"\n")
        size += len(held[-1])
        if size >= chunk_bytes or len(held) == n_rows:
            yield Unit("rows", place, 0, 0, first, b"".join(held))
            held, first, size = [], count + 1, 0
    if held:
        yield Unit("rows", place, 0, 0, first, b"".join(held))


def _rows_of(value: Any) -> Iterator[Any]:
    if isinstance(value, dict) and isinstance(value.get("rows"), list) and "features" in value:
        value = [row.get("row") if isinstance(row, dict) else row for row in value["rows"]]
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and _is_by_column([*value.values()]):
        for cells in zip(*value.values(), strict=True):
            yield dict(zip(value, cells, strict=True))
    elif isinstance(value, dict) and value and all(isinstance(rows, list) for rows in value.values()):
        for key, rows in value.items():
            for row in rows:
                yield {"refactoring": key, **row} if isinstance(row, dict) else row
    else:
        yield value


def _is_by_column(columns: list[Any]) -> bool:
    """Whether the values of an object are columns: lists of one length that hold no objects."""
    if len(columns) < 2 or not all(isinstance(one, list) for one in columns):
        return False
    return len({len(one) for one in columns}) == 1 and not any(isinstance(x, dict) for x in columns[0])


def open_parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(
            f"{path}: cannot be read as parquet ({first_line(error)})",
            "it is truncated or another format: fetch it again",
        ) from error


def _parquet_items(path: Path, group: int) -> Iterator[InputRow]:
    import pyarrow

    file = open_parquet(path)
    row = sum(file.metadata.row_group(i).num_rows for i in range(group))
    try:
        for batch in file.iter_batches(batch_size=256, row_groups=[group]):
            for value in batch.to_pylist():
                row += 1
                yield InputRow(f"{path}:{row}", value)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RulewrightError(
            f"{path}: row group {group} cannot be read ({first_line(error)})",
            "the file is damaged: fetch it again",
        ) from error
