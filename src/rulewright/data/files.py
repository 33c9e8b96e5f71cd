"""Find the input files and check what they are, before any work starts.

Invariant: `find` returns readable files, and `columns_of` the columns of a data file. Any other file (a
Git-LFS pointer, a web page, an archive, another encoding) is an error that says what the file is.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from rulewright import jsonl
from rulewright.data.drafts import Drop
from rulewright.data.readers import format_of, items, open_parquet, pieces
from rulewright.errors import UsageError

_PEEK_ROWS: Final = 20
_LISTING: Final = 12
_ABOUT_DATA: Final = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"})
"""What tools write beside data."""
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive", b"BZh": "packed with bzip2", b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd", b"\x1f\x8b": "packed with gzip twice",
    b"\xff\xfe\0\0": "UTF-32 text", b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text",
    b"\0\0\xfe\xff": "UTF-32 text",
    b"{\0": "UTF-16 text", b"\0{": "UTF-16 text", b"ARROW1": "an Arrow file", b"%PDF": "a PDF",
}  # fmt: skip


def find(inputs: Sequence[str]) -> list[Path]:
    """Data files that paths, folders and globs name, sorted, each once.

    Raises:
        UsageError: one of them names nothing.
    """
    found: dict[Path, None] = {}
    for given in inputs:
        try:
            names = _named(given)
        except OSError as error:
            raise UsageError(f"{given[:80]}: cannot be accessed ({error.strerror})", "check it") from error
        found.update(dict.fromkeys(names))
    for path in found:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"{path}: is not a regular file", "write it to a file first")
        jsonl.require_file(path)
    return list(found)


def _named(given: str) -> list[Path]:
    """What one path, folder or glob names; hidden files of a folder are left out."""
    import glob

    path = Path(given)
    if not given.strip():
        raise UsageError("an input is empty", "name files, folders or globs")
    if path.is_dir():
        below = sorted(p for p in path.rglob("*") if p.is_file() and _is_data(p))
        below = [p for p in below if p.name not in _ABOUT_DATA]
        names = [p for p in below if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        if not names and any(path.rglob("*.arrow")):
            split = "['train']" if (path / "dataset_dict.json").exists() else ""
            raise UsageError(
                f"{given}: is a folder of `save_to_disk` (Arrow files), expected JSON Lines or parquet",
                f"convert it: datasets.load_from_disk(FOLDER){split}.to_parquet('edits.parquet')",
            )
        if not names:
            raise UsageError(
                f"{given}: no .jsonl, .jsonl.gz, .json or .parquet file in the folder",
                "name another folder, or the files themselves",
            )
        return names
    if path.exists() or path.is_symlink():
        return [path]
    names = sorted(Path(p) for p in glob.glob(given, recursive=True))  # noqa: PTH207  (absolute globs)
    if not names:
        beside = path.parent.glob("*") if path.parent.is_dir() else ()
        near = sorted(p.name for p in beside if _is_data(p))[:_LISTING]
        raise UsageError(
            f"{given}: no such file or folder",
            f"in {path.parent} there are: {', '.join(near)}" if near else "check the path",
        )
    return names


_KINDS: Final[tuple[tuple[frozenset[str], str, str], ...]] = (
    (frozenset({"messages"}), "holds chats (`messages`)", "chat"),
    (frozenset({"conversations"}), "holds chats (`conversations`)", "chat"),
    (frozenset({"conversation"}), "holds chats (`conversation`)", "chat"),
    (frozenset({"prompt", "completion"}), "holds prompts and completions", "fenced"),
    (frozenset({"prompt", "chosen", "rejected"}), "holds preferences", "chat"),
    (frozenset({"patch"}), "holds patches (`patch`), not the files that they change", "patch"),
    (frozenset({"diff"}), "holds patches (`diff`), not the files that they change", "patch"),
    (frozenset({"row_idx", "row"}), "holds rows as a data set server wraps them", "wrapped"),
    (frozenset({"features", "rows"}), "holds rows as a data set server wraps them", "wrapped"),
)
_WAYS: Final = {
    "chat": "take the code out of the question and of the answer first, and write rows with instruction, pre "
    "and post",
    "fenced": "if each holds one block of code in a fence: `rulewright ingest nextcoder --input FILE`",
    "patch": "clone the repositories, and take the edits from them: `rulewright ingest git --input CLONE …`",
    "wrapped": "write what stands under `row`, one object a line",
}


def rows_of_another_kind(columns: Sequence[str]) -> tuple[str, str] | None:
    """What rows with these columns are, if they are known to be no edits, and the way out."""
    names = set(columns)
    return next(((what, _WAYS[way]) for mark, what, way in _KINDS if mark <= names), None)


def _is_data(path: Path) -> bool:
    return bool(re.search(r"\.(jsonl|json|ndjson)(\.gz)?$|\.parquet$", path.name.lower()))


def columns_of(path: Path) -> list[str]:
    """The columns of a file: all keys of its first rows.

    Raises:
        UsageError: the file is empty, or not one of its first rows can be read; says what it is instead.
    """
    _refuse_other_formats(path)
    if format_of(path) == "parquet":
        file = open_parquet(path)
        names = list(file.schema_arrow.names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"{path}: has the column {', '.join(map(repr, twice))} more than once",
                "rename the columns so that each name is unique",
            )
        if not file.metadata.num_rows:
            raise UsageError(f"{path}: has no rows", "name a file with rows")
        return names
    seen: dict[str, None] = {}
    problems = []
    for item in islice((item for piece in pieces(path) for item in items(piece)), _PEEK_ROWS):
        if isinstance(item.value, Drop):
            problems.append(f"{item.place}: {item.value.detail}")
        else:
            seen.update(dict.fromkeys(item.value))
    if not seen:
        raise UsageError(*_not_data(path, problems))
    return list(seen)


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked if it is gzip."""
    with path.open("rb") as plain:
        if format_of(path) != "gz":
            return plain.read(512)
        try:
            return gzip.GzipFile(fileobj=plain).read(512)
        except (EOFError, OSError, zlib.error):
            return b""  # whoever reads on says where it breaks off


def _refuse_other_formats(path: Path) -> None:
    head = _head(path)
    found = next((name for mark, name in _OTHER_FORMATS.items() if head.startswith(mark)), "")
    if found:
        raise UsageError(
            f"{path}: is {found}, expected JSON Lines in UTF-8 (plain or gzip) or parquet",
            "unpack or convert it first",
        )
    if re.match(rb"\s*(<!doctype html|<html|<\?xml)", head.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE):
        raise UsageError(
            f"{path}: is a web page, not data",
            "the download failed and saved an error page: fetch it again",
        )


def _not_data(path: Path, problems: list[str]) -> tuple[str, str]:
    head = _head(path).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return f"{path}: the file is empty", "fetch it again"
    if name := _table(path, head):
        return (
            f"{path}: is a {name} file, expected JSON Lines (one object a line), .jsonl.gz or .parquet",
            f"convert it once: pandas.read_csv('{path.name}'{_SEPARATORS[name]})"
            ".to_json('edits.jsonl', orient='records', lines=True)",
        )
    if head[:1] == b"[" and path.suffix != ".json":
        return (
            f"{path}: is one JSON array, expected one object a line",
            "name it .json, or convert it to JSON Lines",
        )
    return f"{path}: none of its first rows can be read ({problems[0] if problems else 'no rows'})", (
        "expected JSON Lines (one object a line, UTF-8), .jsonl.gz or .parquet"
    )


_SEPARATORS: Final = {"CSV": "", "TSV": r", sep='\t'"}


def _table(path: Path, head: bytes) -> str:
    """`CSV` or `TSV` for a table, by its name or by a first line of several plain words; else nothing."""
    ending = path.name.lower().removesuffix(".gz")
    if ending.endswith((".csv", ".tsv")):
        return ending[-3:].upper()
    first = head.split(b"\n")[0].decode("utf-8", "replace").strip()
    for name, separator in (("CSV", ","), ("TSV", "\t")):
        cells = first.split(separator)
        if len(cells) > 1 and all(re.fullmatch(r'"?[A-Za-z_][\w ]*"?', cell.strip()) for cell in cells):
            return name
    return ""
