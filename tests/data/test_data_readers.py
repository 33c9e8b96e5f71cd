"""Damaged and wrong input: a clear error or a counted drop, never a traceback, never silence."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rulewright.data import files, inputs, pipeline, readers
from rulewright.data.drafts import Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import SOURCES
from rulewright.errors import RulewrightError, UsageError

Ingest = Callable[..., int]
HTML = "<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not Found</body></html>\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n"


@pytest.fixture
def good(lay: SimpleNamespace) -> bytes:
    return "".join(json.dumps(lay.commit_row(i)) + "\n" for i in range(50)).encode()


@pytest.mark.parametrize(
    ("name", "content", "code", "told"),
    [
        ("page.jsonl", HTML.encode(), 2, "is a web page, not data"),
        ("pointer.jsonl", LFS.encode(), 2, "Git-LFS pointer"),
        ("pointer.parquet", LFS.encode(), 2, "Git-LFS pointer"),
        ("empty.jsonl", b"", 2, "the file is empty"),
        ("blank.jsonl", b"\n\n \n", 2, "the file is empty"),
        ("array.jsonl", b'[{"a": 1}]\n', 2, "one JSON array"),
        ("binary.jsonl", bytes(range(256)) * 40, 2, "none of its first rows can be read"),
        ("text.parquet", b"PAR1 but not really", 2, "cannot be read as parquet"),
        ("broken.json", b"[1, 2", 2, "not JSON"),
        ("twice.json", b'[{"a": 1, "a": 2}]', 2, "not JSON: duplicate key 'a'"),
        ("number.json", b"42", 2, "none of its first rows can be read"),
        ("deep.jsonl", b'{"a":' * 100_000 + b"\n", 2, "none of its first rows"),
        ("page.parquet", HTML.encode(), 2, "is a web page, not data"),
        ("page.jsonl.gz", gzip.compress(HTML.encode(), mtime=0), 2, "is a web page, not data"),
        ("empty.jsonl.gz", gzip.compress(b"", mtime=0), 2, "the file is empty"),
        ("empty.parquet", b"", 2, "cannot be read as parquet"),
        (
            "twice.jsonl.gz",
            gzip.compress(gzip.compress(b"{}\n", mtime=0), mtime=0),
            2,
            "packed with gzip twice",
        ),
        ("packed.jsonl", bz2.compress(b'{"a": 1}\n'), 2, "packed with bzip2"),
        ("packed.jsonl.xz", lzma.compress(b'{"a": 1}\n'), 2, "packed with xz"),
        ("archive.jsonl", b"PK\x03\x04 and then\n" + b'{"a": 1}\n', 2, "a zip archive"),
        ("wide.jsonl", '{"a": 1}\n'.encode("utf-16"), 2, "UTF-16"),
        ("wide_without_mark.jsonl", '{"a": 1}\n'.encode("utf-16-le"), 2, "UTF-16"),
        ("table.csv", b"commit,old_contents\n1,a\n", 2, "is a CSV file"),
        ("pretty.jsonl", b'{\n "a": 1\n}\n', 2, "none of its first rows can be read"),
        ("other.jsonl", b'{"text": "x"}\n', 2, "it lacks commit, new_contents, old_contents, subject"),
    ],
)
def test_what_is_not_data_is_refused(
    name: str, content: bytes, code: int, told: str, tmp_path: Path, out: Path, ingest: Ingest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / name
    path.write_bytes(content)
    assert ingest("commitpackft", "--input", path) == code
    error = capsys.readouterr().err
    assert told in error and "hint:" in error and "Traceback" not in error
    assert not out.exists() or not list(out.glob("*.metadata.json"))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{not json}\n", "not_json"),
        (b'{"a": 1\n', "not_json"),
        (b'["a list"]\n', "not_json"),
        (b'{"a": "\x00"}\n', "not_json"),
        (b'{"commit":"","old_contents":"x = 1","new_contents":"x = 2","new_contents":"x = 3"}\n', "not_json"),
        (b'{"a": "\xff\xfe"}\n', "undecodable"),
        (b'{"other": "columns"}\n', "missing_columns"),
        (b'{"commit":"c","old_contents":["x = 1"],"new_contents":"x = 2","subject":"Set it"}\n', "not_text"),
        (b'{"commit":"c","old_contents":"x = 1","new_contents":{"a":1},"subject":"Set it"}\n', "not_text"),
        (b'{"commit": null, "old_contents": null, "new_contents": 3, "subject": {}}\n', None),
        (b'{"commit":"c","old_contents":"\\ud800 = 1","new_contents":"x = 2","subject":"Set it",'
         b'"lang":"Python","license":"mit","new_file":"a.py"}\n', "undecodable"),
        (b"\xef\xbb\xbf{}\n", None),
        (b"[" * 200_000 + b"\n", "not_json"),
    ],
)  # fmt: skip
def test_a_bad_line_among_good_ones_is_counted(
    bad: bytes, reason: str | None, good: bytes, tmp_path: Path, out: Path, ingest: Ingest,
    lay: SimpleNamespace,
) -> None:  # fmt: skip
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + good + bad)
    assert ingest("commitpackft", "--input", path) == 0
    assert len(lay.records(out, "commitpackft")) == 50
    (reject,) = lay.rejects(out, "commitpackft")
    assert reject["place"] == f"{path}:51" and reason in (None, reject["reason"])


def test_a_last_line_without_its_end_is_read(
    good: bytes, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(good.rstrip(b"\n"))
    assert ingest("commitpackft", "--input", path) == 0
    assert len(lay.records(out, "commitpackft")) == 50


@pytest.mark.parametrize(
    ("after", "code"), [(b"garbage", 1), (bytes(512), 0), (gzip.compress(b"{}\n", mtime=0), 0)]
)
def test_what_follows_a_gzip_stream_is_read_padding_or_an_error(
    after: bytes, code: int, good: bytes, tmp_path: Path, out: Path, ingest: Ingest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(good) + after)
    assert ingest("commitpackft", "--input", path) == code
    assert ("data.jsonl.gz:51: the file ends too early" in capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.999])
def test_a_truncated_gzip_is_an_error_with_its_place(
    kept: float, good: bytes, tmp_path: Path, out: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gzip.compress(good)
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert ingest("commitpackft", "--input", path) == 1
    error = capsys.readouterr().err
    assert "ends too early" in error and "fetch it again" in error
    assert not list(out.glob("*.metadata.json"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_line_beyond_all_measure_is_skipped_in_bounded_memory(
    compressed: bool, good: bytes, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("rulewright.jsonl.MAX_LINE_BYTES", 100_000)
    long = b'{"old_contents": "' + b"x" * 1_000_000 + b'"}\n'
    path = tmp_path / "data.jsonl"
    raw = good + long + good.replace(b"fetch_", b"catch_")
    path.write_bytes(gzip.compress(raw) if compressed else raw)
    assert ingest("commitpackft", "--input", path, "--near-threshold", 2) == 0
    assert [r["reason"] for r in lay.rejects(out, "commitpackft") if r["place"].endswith(":51")] == [
        "json_line_long"
    ]
    assert len(lay.records(out, "commitpackft")) == 100


@pytest.mark.slow
def test_a_line_of_200_megabytes(
    good: bytes, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    path = tmp_path / "data.jsonl"
    with path.open("wb") as stream:
        stream.write(good + b'{"old_contents": "')
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}\n')
    assert ingest("commitpackft", "--input", path) == 0
    assert [r["reason"] for r in lay.rejects(out, "commitpackft")] == ["json_line_long"]
    assert len(lay.records(out, "commitpackft")) == 50


def test_parquet_of_another_schema_names_the_columns(
    tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}), path)
    assert ingest("commitpackft", "--input", path) == 2
    assert "there are text, label" in capsys.readouterr().err


def test_a_damaged_row_group_is_an_error(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    rows = [lay.commit_row(i) for i in range(50)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    raw = bytearray(path.read_bytes())
    raw[200:1200] = bytes(1000)
    path.write_bytes(bytes(raw))
    code = ingest("commitpackft", "--input", path)
    error = capsys.readouterr().err
    assert code in (1, 2) and "fetch it again" in error


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda pa, rows: pa.Table.from_pylist(rows).slice(0, 0), "has no rows"),
        (
            lambda pa, rows: pa.Table.from_arrays(
                [pa.array(["a"])] * 5, names=[*"abc", "subject", "subject"]
            ),
            "has the column 'subject' more than once",
        ),
        (
            lambda pa, rows: pa.Table.from_pylist([{k: v.encode() for k, v in r.items()} for r in rows]),
            "all 3 rows were dropped (not_text 3)",
        ),
        (
            lambda pa, rows: pa.Table.from_pylist([{**r, "old_contents": {"t": [1]}} for r in rows]),
            "all 3 rows were dropped (not_text 3)",
        ),
    ],
)
def test_odd_parquet_is_refused(
    make: Callable[..., Any], told: str, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(make(pyarrow, [lay.commit_row(i) for i in range(3)]), path)
    assert ingest("commitpackft", "--input", path) in (1, 2)
    error = capsys.readouterr().err
    assert told in error and "hint:" in error


def test_columns_that_no_one_asked_for_may_hold_anything(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{**lay.commit_row(i), "extra": {"a": [{"b": i}]}, "when": date(2020, 1, 1)} for i in range(3)]
    path = tmp_path / "x.parquet"
    rows[0]["license"] = "gpl"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert ingest("commitpackft", "--input", path) == 0
    assert len(lay.records(out, "commitpackft")) == 2 and len(lay.rejects(out, "commitpackft")) == 1


def test_what_is_no_file_is_refused(
    tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to("link.jsonl")
    (tmp_path / "folder").mkdir()
    lay.write(tmp_path / "folder" / ".cache" / "x.jsonl", [lay.commit_row(1)])
    for name, told in (
        ("pipe.jsonl", "not a regular file"), ("link.jsonl", "no such file"), ("x" * 5_000, "too long"),
        ("folder", "no .jsonl, .jsonl.gz, .json or .parquet file"), ("*.none", "no such file or folder"),
    ):  # fmt: skip
        assert ingest("commitpackft", "--input", tmp_path / name) == 2
        error = capsys.readouterr().err
        assert told in error and "hint:" in error
    assert ingest("commitpackft", "--input", "") == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error(
    tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lay.write(tmp_path / "x.jsonl", [lay.commit_row(1)])
    path.chmod(0)
    assert ingest("commitpackft", "--input", path) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_rows_of_which_none_is_left_are_a_failure(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [lay.commit_row(0, license="gpl-3.0"), *(lay.commit_row(i, old_contents="") for i in (1, 2))]
    path = lay.write(tmp_path / "x.jsonl", rows)
    assert ingest("commitpackft", "--input", path) == 1
    error = capsys.readouterr().err
    assert "all 3 rows were dropped (empty_pre 2, license 1)" in error and "--license" in error


def test_a_missing_path_says_what_is_beside_it(
    tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    lay.write(tmp_path / "data.jsonl", [lay.commit_row(1)])
    assert ingest("commitpackft", "--input", tmp_path / "date.jsonl") == 2
    assert "there are: data.jsonl" in capsys.readouterr().err


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=3_000), name=st.sampled_from(["x.jsonl", "x.jsonl.gz", "x.json", "x.parquet"]))
def test_any_bytes_are_rows_or_an_error(raw: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    try:
        files.find([str(path)])
        files.columns_of(path)
        found = [item for unit in readers.number(readers.pieces(path)) for item in readers.items(unit)]
    except (UsageError, RulewrightError):
        return
    assert all(isinstance(item.value, dict | Drop) for item in found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(max_size=40), max_size=40), chunk=st.integers(1, 200),
    name=st.sampled_from(["x.jsonl", "x.jsonl.gz", "x.json"]),
)  # fmt: skip
def test_however_a_file_is_cut_every_row_comes_once_with_its_line(
    texts: list[str], chunk: int, name: str, tmp_path: Path
) -> None:
    lines = [json.dumps({"t": text}, ensure_ascii=False).encode() for text in texts]
    raw = b"[" + b",".join(lines) + b"]" if name == "x.json" else b"".join(line + b"\n" for line in lines)
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    units = readers.number(readers.pieces(path, chunk_bytes=chunk))
    items = [item for unit in units for item in readers.items(unit)]
    assert [item.value["t"] for item in items if isinstance(item.value, dict)] == texts
    assert [int(item.place.rsplit(":", 1)[1]) for item in items] == list(range(1, len(texts) + 1))


def test_a_piece_ends_at_the_end_of_a_line_however_long_it_is(tmp_path: Path) -> None:
    """Longer than what is read at a time, too, and with as much behind it."""
    texts = [letter * n for letter, n in zip("abcdef", (9, 2_500_000, 9, 1_200_000, 9, 9), strict=True)]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"t": text}) + "\n" for text in texts))
    pieces = list(readers.pieces(path, chunk_bytes=100))
    items = [item for piece in pieces for item in readers.items(piece)]
    assert [item.value["t"] for item in items if isinstance(item.value, dict)] == texts
    assert [item.place for item in items] == [f"{path}:{n}" for n in range(1, 7)]
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert len(pieces) == 3


@pytest.mark.parametrize(
    ("name", "begin", "kind"),
    [
        ("x.jsonl", b"\x1f\x8b\x08\0", "gz"), ("x.json", b"\x1f\x8b\x08\0", "gz"),
        ("x.dat", b"PAR1\x15\0", "parquet"), ("x.parquet", b"{}\n", "parquet"), ("x.json", b"PAR2", "json"),
        ("x.json", b"", "json"), ("x.jsonl", b"[{}]", "jsonl"), ("x", b"\x1f", "jsonl"),
    ],
)  # fmt: skip
def test_what_a_file_is_is_told_by_how_it_begins_before_its_name(
    name: str, begin: bytes, kind: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(begin)
    assert readers.format_of(tmp_path / name) == kind


def test_of_several_lines_that_cannot_be_read_the_first_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("bad\n[worse]\n{}}\n")
    with pytest.raises(UsageError, match=r"can be read \(.*x\.jsonl:1: "):
        files.columns_of(path)


@pytest.mark.parametrize(("most", "read"), [(12, True), (11, False)])
def test_a_json_file_is_read_up_to_a_size(
    most: int, read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readers.MAX_JSON_BYTES == 2**30
    path = tmp_path / "x.json"
    path.write_text('[{"a": 1 } ]')
    monkeypatch.setattr(readers, "MAX_JSON_BYTES", most)
    if read:
        assert len(list(readers.pieces(path))) == 1
    else:
        with pytest.raises(UsageError, match="larger than 11 bytes"):
            list(readers.pieces(path))


def test_a_pattern_finds_files_in_folders_of_folders(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/b/c/x.jsonl", "a/x.jsonl", "x.jsonl")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    assert files.find([f"{tmp_path}/**/x.jsonl"]) == paths


@pytest.mark.parametrize("named", [".", "in", "in/a.yml"])
def test_what_folders_and_files_hold_is_as_old_as_the_newest_file(tmp_path: Path, named: str) -> None:
    (tmp_path / "in").mkdir()
    for name, seconds in (("in/a.yml", 2_000), ("in/../b.yml", 1_000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    facts = inputs.FolderRows((tmp_path / named,), "mit", lambda _: iter([{"a": 1}])).facts()
    assert facts.downloaded_at.timestamp() == 2_000


def test_rows_made_of_folders_are_told_apart_by_their_content_alone(tmp_path: Path) -> None:
    """Not by the order of their columns, which a resumed run may find another way round."""

    def stamps_of(row: dict[str, Any]) -> Any:
        return inputs.FolderRows((tmp_path,), "mit", lambda _: iter([row])).stamps()

    stamps = [stamps_of(row) for row in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})]
    assert stamps[0] == stamps[1] != stamps[2]


def test_a_file_may_have_the_columns_of_a_layout_and_no_others(
    tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("commit", "old_contents", "new_contents", "subject")
    rows = [{name: lay.commit_row(i)[name] for name in columns} for i in range(3)]
    path = lay.write(tmp_path / "x.jsonl", rows)
    assert ingest("commitpackft", "--input", path, "--license", "mit") == 1
    assert "all 3 rows were dropped (language 3)" in capsys.readouterr().err
    assert ingest("canitedit", "--input", path) == 2
    assert "hint: it looks like editpackft or commitpackft" in capsys.readouterr().err
    names = ("instruction_descriptive", "instruction_lazy")
    path = lay.write(tmp_path / "y.jsonl", [dict.fromkeys(names, "x")])
    assert ingest("jsonl", "--input", path) == 2
    assert "this is CanItEdit" in capsys.readouterr().err


@pytest.mark.parametrize(("n_strange", "hint"), [(2, "--language python"), (1, "no record was written")])
def test_a_language_is_asked_for_where_most_rows_lack_one(
    n_strange: int, hint: str, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Of three rows, and of two."""
    row = {"instruction": "Do it", "pre": "a = 1\n", "post": "a = 2\n", "license": "mit"}
    rows = [row] * n_strange + [{**row, "post": row["pre"], "language": "python"}]
    assert ingest("jsonl", "--input", lay.write(tmp_path / "x.jsonl", rows)) == 1
    assert hint in capsys.readouterr().err.partition("hint: ")[2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
COLUMNS = sorted(
    {column for source in SOURCES.values() for layout in (*source.layouts, source.texts) for column in layout}
    | {"repos", "pre", "post", "evaluations", "taxonomy", "tags", "metadata", "group"}
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(SOURCES.keys() - {"git"})),
    odd=st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=12),
    text=st.text(max_size=30),
    window=st.booleans(),
)
def test_rows_of_any_shape_are_records_or_counted(
    name: str, odd: dict[str, Any], text: str, window: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = {column: f"{text} = {i}\n" for i, column in enumerate(COLUMNS)} | odd
    work = tmp_path_factory.mktemp("work")
    config = IngestConfig(
        source=name, name=name, clones=str(work), window=window, max_window_chars=20, license="mit"
    )
    job = pipeline.IngestJob(config, work)
    unit = readers.Unit("rows", "x", payload=json.dumps(row).encode() + b"\n")
    shard = pipeline.make_shard((unit, job))
    assert shard.n_rows == 1 and shard.n_kept + shard.dropped.total() >= 1


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ([{"a": 1}], [{"a": 1}]),
        ({"a": [1, 2], "b": [3, 4]}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"a": [{"x": 1}], "b": [2]}, [{"refactoring": "a", "x": 1}]),  # lists of rows, not columns
        ({"a": [{"x": 1}]}, [{"refactoring": "a", "x": 1}]),
        ({"a": [{"x": 1}, {"x": 2}], "b": []}, [{"refactoring": "a", "x": 1}, {"refactoring": "a", "x": 2}]),
        ({"features": [], "rows": [{"row_idx": 0, "row": {"a": 1}}]}, [{"a": 1}]),
        ({"a": 1}, [{"a": 1}]),
    ],
)
def test_the_rows_of_a_json_file(value: Any, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(value))
    read = [item.value for piece in readers.pieces(path) for item in readers.items(piece)]
    assert [row for row in read if isinstance(row, dict)] == rows


@pytest.mark.parametrize(("n_before", "columns"), [(19, ["a", "b"]), (20, ["a"])])
def test_the_columns_are_those_of_the_first_twenty_rows(
    n_before: int, columns: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n' * n_before + '{"b": 1}\n')
    assert files.columns_of(path) == columns


def test_at_most_twelve_files_beside_a_missing_one_are_named(tmp_path: Path) -> None:
    for i in range(13):
        (tmp_path / f"f{i:02}.jsonl").write_text("")
    with pytest.raises(UsageError) as caught:
        files.find([str(tmp_path / "none.jsonl")])
    assert caught.value.hint.endswith("f10.jsonl, f11.jsonl")
