"""JSON Lines: read with places, write atomically, append durably.

Invariants: a file that `write` produced is complete or absent; a file that an
`Appender` was killed on loses at most its torn last line, which the next
`Appender` cuts off, so that the item is simply owed again.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Self, TypeVar

from rulewright.errors import RulewrightError, UsageError, json_problem, problems_of
from rulewright.replacing import PREFIX, clear, name_begin

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")
LFS_MARK: Final = b"version https://git-lfs"
MAX_LINE_BYTES: Final = 64 * 1024 * 1024


class Line(NamedTuple):
    """One line of a JSONL file: its 1-based number and what it holds."""

    number: int
    value: dict[str, Any] | None
    """`None` where the line is not a JSON object; `problem` says why."""
    problem: str = ""
    reason: str = ""
    """One word for the problem: `not_json`, `undecodable`, `json_line_long`."""

    def object_of(self, path: Path) -> dict[str, Any]:
        """The object; a bad line is an error with its place in `path`."""
        if self.value is None:
            raise RulewrightError(f"{path}:{self.number}: {self.problem}", "fix or remove the line")
        return self.value


def require_file(path: Path) -> Path:
    """Give the path back if it is a readable, real data file; else say what is wrong."""
    if not path.exists():
        place = "" if path.is_absolute() else f" (looked for in {Path.cwd()})"
        raise UsageError(f"{path}: no such file{place}", "check the path, or create the file first")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, expected a file", f"name a file, e.g. {path}/*.jsonl")
    if path.is_fifo():
        raise UsageError(f"{path}: is a pipe, expected a file", "save what it gives in a file first")
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from error
    if head.startswith(LFS_MARK):
        raise UsageError(
            f"{path}: is a Git-LFS pointer, not the data",
            "fetch the data with `git lfs pull` in its repository, or download the file itself",
        )
    return path


def read_lines(path: Path) -> Iterator[Line]:
    """Yield every non-empty line of a `.jsonl` or gzipped `.jsonl` file, good or bad.

    Raises:
        UsageError: the file is absent, a folder, or a Git-LFS pointer.
        RulewrightError: the stream breaks off (a truncated gzip), with the line.
    """
    require_file(path)
    number = 0
    try:
        with path.open("rb") as plain:
            is_gzip = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            stream: Any = gzip.GzipFile(fileobj=plain) if is_gzip else plain
            for number, raw in enumerate(raw_lines(stream), 1):
                if (line := parse(number, raw)) is not None:
                    yield line
    except (EOFError, OSError, zlib.error) as error:
        raise broken_off(path, number + 1, error) from error


def broken_off(path: Path, line: int, error: Exception) -> RulewrightError:
    """The error for a packed file that ends, or cannot be unpacked, at a line."""
    return RulewrightError(
        f"{path}:{line}: the file ends too early ({error})", "it is truncated or damaged: fetch it again"
    )


def raw_lines(stream: BinaryIO, n_bytes: int | None = None) -> Iterator[bytes | None]:
    """The lines of a stream, or of its next bytes; `None` for one that is too long, which is passed over."""
    done = 0
    while n_bytes is None or done < n_bytes:
        raw = stream.readline(MAX_LINE_BYTES + 1)
        if not raw:
            return
        done += len(raw)
        if len(raw) <= MAX_LINE_BYTES:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = stream.readline(MAX_LINE_BYTES)
            done += len(raw)
        yield None


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of a decoder's pairs (`object_pairs_hook`): `json` takes the last of equal keys silently.

    Raises:
        ValueError: a key stands twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return found


decode: Final = json.JSONDecoder(object_pairs_hook=without_duplicates).decode
"""A JSON text that someone else may have written, as its value."""


def parse(number: int, raw: bytes | None) -> Line | None:
    """A line of `raw_lines` by its number, from 1; `None` where it is empty."""
    if raw is None:
        return Line(number, None, f"longer than {MAX_LINE_BYTES:,} bytes", "json_line_long")
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        return None
    try:
        value = decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Line(number, None, f"not UTF-8 at byte {error.start:,} of the line", "undecodable")
    except (ValueError, RecursionError) as error:
        return Line(number, None, f"not JSON: {json_problem(error)}", "not_json")
    if not isinstance(value, dict):
        got = "null" if value is None else type(value).__name__
        return Line(number, None, f"expected a JSON object, got {got}", "not_json")
    return Line(number, value)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that we wrote; a bad line is an error with its place.

    Raises:
        RulewrightError: a line is not a JSON object.
    """
    for line in read_lines(path):
        yield line.object_of(path)


def read_json(path: Path, hint: str) -> Any:
    """The value of a JSON file.

    Raises:
        UsageError: there is no such file.
        RulewrightError: it is not JSON.
    """
    try:
        return decode(require_file(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RulewrightError(f"{path}: not JSON ({json_problem(error)})", hint) from error


def read_object(path: Path, hint: str) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        UsageError: there is no such file.
        RulewrightError: it is not JSON, or no object.
    """
    value = read_json(path, hint)
    if not isinstance(value, dict):
        raise RulewrightError(f"{path}: expected a JSON object", hint)
    return value


def dumps(value: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    r"""JSON, on one line unless indented, without the newline at the end; escaped only where it has to be.

    >>> dumps({"é": 1}), dumps({"a": "\ud800"})
    ('{"é": 1}', '{"a": "\\ud800"}')
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, as a file's name or a server may give it: UTF-8 has none
        return json.dumps(value, indent=indent, default=default)
    return text


def write(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> int:
    """Write rows (objects or ready lines) to a new file that appears only when complete."""
    count = 0
    with atomic(path) as stream:
        for row in rows:
            text = row if isinstance(row, str) else dumps(row)
            stream.write(text.encode("utf-8", "surrogatepass") + b"\n")
            count += 1
    return count


class atomic:  # noqa: N801  (used like `open`)
    """`with atomic(path) as stream:` a binary file that replaces `path` on success only.

    Args:
        path: of the file; of a link, what it names is replaced.
        sync: wait until it is on disk, and remove what killed runs left beside it; without, it is whole
            as far as kills go, not power cuts.

    Raises:
        UsageError: a pipe or device is there, which is no file to replace.
    """

    def __init__(self, path: Path, sync: bool = True) -> None:
        self._path, self._sync = Path(os.path.realpath(path)) if path.is_symlink() else path, sync
        self._part = self._path.with_name(f"{name_begin()}{os.urandom(4).hex()}")

    def __enter__(self) -> BinaryIO:
        if self._path.exists() and not self._path.is_file() and not self._path.is_dir():
            raise UsageError(f"{self._path}: is a pipe or device, not a file to write", "name a file")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._sync:
                clear(self._path.parent.glob(f"{PREFIX}*"))
            self._stream = self._part.open("wb")
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._sync:
                self._stream.flush()
                os.fsync(self._stream.fileno())
            self._stream.close()
            if kind is None:
                self._part.replace(self._path)
        except OSError as failure:
            self._part.unlink(missing_ok=True)
            raise _cannot_write(self._path, failure) from failure
        if kind is not None:
            self._part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
                raise _cannot_write(self._path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears only when complete."""
    with atomic(path) as stream:
        stream.write(text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, indented, as a file that appears only when complete."""
    write_text(path, dumps(value, 2) + "\n")


_CANNOT_WRITE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES})


def _cannot_write(path: Path, error: OSError) -> RulewrightError:
    """What to do depends on why: a full disk is freed, a place that nobody can write is changed."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    first = "free some disk space, or " if full else "that place cannot be made or written: "
    return RulewrightError(
        f"{path}: cannot be written ({error.strerror or error})",
        f"{first}choose another output folder, then run again; what was already written is kept",
    )


class Appender:
    """Appends lines to a file, each on disk before `append` returns (with `sync`).

    Opening cuts off a torn last line left by a killed run.
    """

    def __init__(self, path: Path, sync: bool = True) -> None:
        self.path = path
        self._sync = sync
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cut_torn_line(path)
            self._stream = path.open("ab")
        except OSError as error:
            raise _cannot_write(path, error) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        self.append_all([row])

    def append_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append several rows with one wait for the disk."""
        try:
            for row in rows:
                self._stream.write(dumps(row).encode() + b"\n")
            self._stream.flush()
            if self._sync:
                os.fsync(self._stream.fileno())
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def close(self) -> None:
        """Close the file; what could not be written was told when it was appended."""
        with suppress(OSError):
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def cut_torn_line(path: Path) -> None:
    """Remove an unfinished last line (no newline at the end), if there is one."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                stream.truncate(start + newline + 1)
                return
            end = start
        stream.truncate(0)


def validated(line: Line, model: type[M]) -> M | str:
    """A line as a pydantic model, or what is wrong with it."""
    from pydantic import ValidationError  # what only writes files does without

    if line.value is None:
        return line.problem
    try:
        return model.model_validate(line.value)
    except ValidationError as error:
        return problems_of(error)
