"""JSON Lines: places, atomic files, torn lines."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright import jsonl
from rulewright.errors import RulewrightError, UsageError


def test_round_trip_keeps_text(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"a": "ü\n\u2028"}, {"b": [1, None]}]
    assert jsonl.write(tmp_path / "x.jsonl", rows) == 2
    assert list(jsonl.read(tmp_path / "x.jsonl")) == rows


def test_bad_lines_are_reported_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n[1]\nnope\n{"b": 2}\xff\n{"c": 3}')
    lines = list(jsonl.read_lines(path))
    assert [line.number for line in lines] == [1, 3, 4, 5, 6]
    assert [line.value for line in lines] == [{"a": 1}, None, None, None, {"c": 3}]
    with pytest.raises(RulewrightError, match=r"x\.jsonl:3"):
        list(jsonl.read(path))


def test_a_truncated_gzip_breaks_off_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress(b'{"a": 1}\n' * 100_000)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RulewrightError, match="ends too early"):
        for _ in jsonl.read_lines(path):
            pass


def test_a_damaged_gzip_breaks_off_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress(b'{"a": 1}\n')
    path.write_bytes(whole[:10] + b"\xff" * len(whole))  # a block of no kind that there is
    with pytest.raises(RulewrightError, match="ends too early"):
        for _ in jsonl.read_lines(path):
            pass


def test_an_lfs_pointer_is_not_data(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(UsageError, match="Git-LFS pointer") as caught:
        list(jsonl.read_lines(path))
    assert "git lfs pull" in caught.value.hint


def test_absent_files_and_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        list(jsonl.read_lines(tmp_path / "none.jsonl"))
    with pytest.raises(UsageError, match="folder"):
        list(jsonl.read_lines(tmp_path))


def test_a_pipe_is_said_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is a pipe"):
        next(jsonl.read_lines(pipe))


def test_a_pipe_or_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(UsageError, match="is a pipe or device"):
            jsonl.write_text(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    (tmp_path / "file").write_text("old")
    (tmp_path / "other").symlink_to("file")
    jsonl.write_text(tmp_path / "other", "new")
    assert (tmp_path / "other").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    jsonl.write(path, [{"a": 1}])

    def rows() -> object:
        yield {"a": 2}
        raise KeyError("broken")

    with pytest.raises(KeyError):
        jsonl.write(path, rows())  # type: ignore[arg-type]
    assert list(jsonl.read(path)) == [{"a": 1}]
    assert [p.name for p in tmp_path.iterdir()] == ["x.jsonl"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_clear_message() -> None:
    appender = jsonl.Appender(Path("/dev/full"), sync=False)
    with pytest.raises(RulewrightError, match="No space left") as caught:
        appender.append({"a": 1})
    assert "free some disk space" in caught.value.hint
    with pytest.raises(RulewrightError, match="No space left"), appender:
        appender.append({"a": 2})


@given(st.binary(max_size=200))
def test_cutting_a_torn_line_keeps_whole_lines(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    path = tmp_path_factory.mktemp("torn") / "x.jsonl"
    torn = tail.replace(b"\n", b"")
    path.write_bytes(b'{"a": 1}\n' + torn)
    jsonl.cut_torn_line(path)
    assert path.read_bytes() == b'{"a": 1}\n'


def test_kill_9_while_appending_loses_no_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    code = (
        "import sys; from pathlib import Path; from rulewright import jsonl\n"
        "a = jsonl.Appender(Path(sys.argv[1])); i = 0\n"
        "while True: a.append({'i': i, 'text': 'x' * 5000}); print(i, flush=True); i += 1"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        seen = [int(child.stdout.readline()) for _ in range(20)]
        os.kill(child.pid, signal.SIGKILL)
        seen += [int(line) for line in child.stdout if line.endswith(b"\n")]
    with jsonl.Appender(path) as again:
        again.append({"i": "end"})
    rows = list(jsonl.read(path))
    assert [row["i"] for row in rows[: len(seen)]] == seen
    assert rows[-1] == {"i": "end"}


def test_reading_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    jsonl.write(path, ({"i": i, "text": "x" * 200} for i in range(20_000)))
    tracemalloc.start()
    assert sum(1 for _ in jsonl.read_lines(path)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10


def test_a_place_that_cannot_be_made_is_no_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RulewrightError) as caught:
        jsonl.write_text(tmp_path / "file/below/x.txt", "text")
    assert "choose another output folder" in caught.value.hint and "disk space" not in caught.value.hint


def test_what_utf_8_cannot_hold_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [{"text": "\ud800 é"}, {"text": "é"}]
    path = tmp_path / "rows.jsonl"
    with jsonl.Appender(path) as out:
        out.append_all(rows)
    assert list(jsonl.read(path)) == rows
    jsonl.write(path, rows)
    assert list(jsonl.read(path)) == rows
    jsonl.write_json(path, rows[0])
    assert jsonl.read_json(path, "") == rows[0]


KILLED = """
import os, signal, sys
from pathlib import Path
from rulewright import jsonl
stream = jsonl.atomic(Path(sys.argv[1])).__enter__()
stream.write(b"half")
stream.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_what_another_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 1
    with jsonl.atomic(tmp_path / "b.json") as other:
        other.write(b"2")
        jsonl.write_text(path, "1")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"a.json": "1", "b.json": "2"}
