"""Damaged and wrong input: a clear error or a counted drop, never a traceback, never silence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rulewright.data import readers
from rulewright.data.drafts import Drop
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
        ("number.json", b"42", 2, "none of its first rows can be read"),
        ("deep.jsonl", b'{"a":' * 100_000 + b"\n", 2, "none of its first rows"),
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
        (b'{"a": "\xff\xfe"}\n', "undecodable"),
        (b'{"other": "columns"}\n', "missing_columns"),
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


@pytest.mark.parametrize("kept", [0.2, 0.7, 0.999])
def test_a_truncated_gzip_is_an_error_with_its_place(
    kept: float, good: bytes, tmp_path: Path, out: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gzip.compress(good)
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert ingest("commitpackft", "--input", path) == 1
    error = capsys.readouterr().err
    assert "breaks off" in error and "fetch it again" in error
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


def test_rows_of_which_none_is_left_are_a_failure(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lay.write(tmp_path / "x.jsonl", [lay.commit_row(i, license="gpl-3.0") for i in range(3)])
    assert ingest("commitpackft", "--input", path) == 1
    error = capsys.readouterr().err
    assert "no record is left of 3 rows (license 3)" in error and "--license" in error


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
        readers.find([str(path)])
        readers.columns_of(path)
        found = [item for unit in readers.number(readers.pieces(path)) for item in readers.items(unit)]
    except (UsageError, RulewrightError):
        return
    assert all(isinstance(item.value, dict | Drop) for item in found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=40), max_size=40), chunk=st.integers(1, 200), packed=st.booleans())
def test_however_a_file_is_cut_every_row_comes_once_with_its_line(
    texts: list[str], chunk: int, packed: bool, tmp_path: Path
) -> None:
    raw = b"".join(json.dumps({"t": text}, ensure_ascii=False).encode() + b"\n" for text in texts)
    path = tmp_path / "x.jsonl"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    units = readers.number(readers.pieces(path, chunk_bytes=chunk))
    items = [item for unit in units for item in readers.items(unit)]
    assert [item.value["t"] for item in items if isinstance(item.value, dict)] == texts
    assert [int(item.place.rsplit(":", 1)[1]) for item in items] == list(range(1, len(texts) + 1))
