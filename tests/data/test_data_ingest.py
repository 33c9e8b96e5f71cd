"""What `ingest` writes does not depend on workers, interruptions or the order of work."""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rulewright import cli
from rulewright.data import index, readers, store, write_dataset
from rulewright.locks import Lock

Ingest = Callable[..., int]


@pytest.fixture
def many(tmp_path: Path, lay: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """140 rows, a fifth of them copies, in pieces of a few rows."""
    rng = random.Random(1)
    rows = []
    for i in range(140):
        twin = rng.randrange(i) if i and rng.random() < 0.2 else i
        rows.append({**lay.commit_row(twin), "commit": f"{i:040x}"})
    rows[7]["license"] = "gpl-3.0"
    return lay.write(tmp_path / "many.jsonl", rows)


def test_workers_and_pieces_do_not_change_a_byte(
    many: Path, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ingest("commitpackft", "--input", many, "--out", tmp_path / "a") == 0
    assert ingest("commitpackft", "--input", many, "--out", tmp_path / "b", workers=2) == 0
    pieces = readers.pieces
    monkeypatch.setattr(readers, "pieces", lambda path, chunk_bytes=8_000: pieces(path, 8_000))
    assert ingest("commitpackft", "--input", many, "--out", tmp_path / "c") == 0
    first, second, third = (lay.bytes_of(tmp_path / name) for name in "abc")
    assert first == second and len(first) >= 3
    assert {k: v for k, v in first.items() if "rejects" not in k} == {
        k: v for k, v in third.items() if "rejects" not in k
    }
    metadata = json.loads(first["commitpackft.metadata.json"])
    assert metadata["dropped"]["exact_duplicate"] > 10 and metadata["dropped"]["license"] == 1
    assert metadata["num_records"] + sum(metadata["dropped"].values()) == metadata["rows_in"] == 140
    n_rejects = len(first["rejects/commitpackft.jsonl"].splitlines())
    assert n_rejects == sum(metadata["dropped"].values())


def start(*arguments: object) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from rulewright.data import readers; p = readers.pieces;"
        "readers.pieces = lambda path, chunk_bytes=0: p(path, 8_000);"
        "from rulewright.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "ingest", *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def twins(tmp_path: Path, lay: SimpleNamespace) -> Path:
    """Better copies of half of the rows of `many`."""
    rows = [{**lay.commit_row(i), "instruction": f"Do it, number {i}."} for i in range(0, 140, 2)]
    return lay.write(tmp_path / "twins.jsonl", rows)


def kill_when(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    """Kill a process and its children as soon as something is so; False if it ended before."""
    while process.poll() is None:
        if ready():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    return False


def n_keys_reach(folder: Path, n: int) -> bool:
    return len(list(folder.glob(".index/editpackft/shards/*.keys"))) >= n


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    workers: int, many: Path, twins: Path, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    def begin(name: str) -> subprocess.Popen[bytes]:
        return start(
            "editpackft", "--input", twins, "--out", tmp_path / name, "--workers", workers, "--resume"
        )  # fmt: skip

    for name in ("calm", "killed"):
        assert ingest("commitpackft", "--input", many, "--out", tmp_path / name) == 0
    assert begin("calm").wait() == 0
    folder = tmp_path / "killed"
    moments: list[Callable[[], bool]] = [partial(n_keys_reach, folder, n) for n in (2, 5)]
    moments.append(lambda: (folder / ".index/.pass").exists())
    moments.append(lambda: not (folder / "commitpackft.metadata.json").exists())
    kills = sum(kill_when(begin("killed"), moment) for moment in moments)
    assert begin("killed").wait() == 0 and kills >= 2
    calm, killed = lay.bytes_of(tmp_path / "calm"), lay.bytes_of(folder)
    assert calm == killed
    assert json.loads(calm["commitpackft.metadata.json"])["dropped"]["superseded"] > 30


@pytest.mark.parametrize(
    ("step", "times"),
    [
        (step, times)
        for step in (
            "store.Writer.__enter__",
            "store.Writer.__exit__",
            "store.Writer.finish",
            "jsonl.write_text",
        )
        for times in (1, 2)
    ],
)
def test_interrupted_between_two_files_it_finishes_both(
    step: str, times: int, many: Path, twins: Path, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The moments that time cannot be relied on to hit: another source is written again, or not yet."""
    for name in ("calm", "killed"):
        assert ingest("commitpackft", "--input", many, "--out", tmp_path / name) == 0
    assert ingest("editpackft", "--input", twins, "--out", tmp_path / "calm") == 0
    owner: Any = importlib.import_module("rulewright.data.publish")
    *path, name = step.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, name), []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        result = original(*arguments, **named)
        if len(calls) == times:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        code = ingest("editpackft", "--input", twins, "--out", tmp_path / "killed", "--resume")
        assert code == 130 and len(calls) == times
    assert ingest("editpackft", "--input", twins, "--out", tmp_path / "killed", "--resume") == 0
    assert lay.bytes_of(tmp_path / "calm") == lay.bytes_of(tmp_path / "killed")


def test_a_finished_source_is_not_overwritten_by_mistake(
    many: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ingest("commitpackft", "--input", many) == 0
    before = lay.bytes_of(out)
    assert ingest("commitpackft", "--input", many) == 2
    assert "contains a finished run" in capsys.readouterr().err
    assert ingest("commitpackft", "--input", many, "--resume") == 0
    assert "nothing to do" in capsys.readouterr().err
    assert ingest("commitpackft", "--input", many, "--resume", "--max-chars", 100) == 2
    assert "max_chars: was 50000, now 100" in capsys.readouterr().err
    assert lay.bytes_of(out) == before
    assert ingest("commitpackft", "--input", many, "--overwrite") == 0
    assert lay.bytes_of(out) == before


def test_two_runs_into_one_folder_wait_for_each_other(many: Path, out: Path) -> None:
    words = ["ingest", "commitpackft", "--input", str(many), "--out", str(out), "--workers", "1"]
    command = [sys.executable, "-m", "rulewright", *words]
    with (
        Lock.take(out / ".index") as lock,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        waits = any("waiting for another run" in line for line in process.stderr)
        lock.release()
        process.stderr.read()
    assert waits and process.returncode == 0


def test_what_is_not_there_is_cleared_all_the_same(out: Path) -> None:
    index.clear(out, "never_begun")
    assert not out.exists()


def test_adding_data_moves_no_record(tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace) -> None:
    def where() -> dict[str, str]:
        return {
            record.metadata.id: split
            for split in ("train", "dev", "test")
            for path in (out / split).glob("*.jsonl")
            for record in store.load(path)
        }

    rows = [lay.commit_row(i) for i in range(200)]
    ingest("commitpackft", "--input", lay.write(tmp_path / "a.jsonl", rows[:100]))
    before = where()
    ingest("commitpackft", "--input", lay.write(tmp_path / "b.jsonl", rows), "--overwrite")
    after = where()
    assert len(after) > len(before) and all(after[i] == split for i, split in before.items())


def test_copies_across_sources_are_found_and_the_better_one_kept(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    edits = [lay.commit_row(i) for i in range(30)]
    plain = [
        {
            "pre": e["old_contents"],
            "post": e["new_contents"],
            "language": "python",
            "license": "mit",
            "group": f"g{i}",
        }
        for i, e in enumerate(edits)
    ]
    ingest("jsonl", "--name", "fixtures", "--input", lay.write(tmp_path / "f.jsonl", plain))
    ingest("commitpackft", "--input", lay.write(tmp_path / "c.jsonl", edits[:10]))
    assert len(lay.records(out, "commitpackft")) == 10  # they have real instructions
    assert len(lay.records(out, "fixtures")) == 20
    metadata = store.read_metadata(out, "fixtures")
    assert metadata is not None and metadata.dropped == {"superseded": 10} and metadata.num_records == 20
    assert metadata.sha256 == store.digest_of(out, "fixtures")
    assert metadata.version == store.combined(metadata.inputs)
    later = store.read_metadata(out, "commitpackft")
    assert later is not None
    assert (metadata.compared_with, later.compared_with) == ({}, {"fixtures": metadata.sha256})
    ingest("jsonl", "--name", "again", "--input", tmp_path / "f.jsonl", "--near-threshold", 2)
    assert store.read_metadata(out, "again") is None  # nothing new: an error, and no files
    superseded = [row for row in lay.rejects(out, "fixtures") if row["reason"] == "superseded"]
    assert len(superseded) == 10 and superseded[0]["detail"].endswith(" of commitpackft")


def test_an_evaluation_set_is_compared_with_nothing(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    for i in range(2):
        path = lay.write(tmp_path / f"{i}.jsonl", [lay.commit_row(i)])
        assert ingest("commitpackft", "--name", f"s{i}", "--input", path) == 0
    row = lay.commit_row(1)
    code = {"before": row["old_contents"], "after": row["new_contents"]}
    task = {"instruction_descriptive": "Do it", "instruction_lazy": "do", "full_name": "1_it", **code}
    task_file = lay.write(tmp_path / "e.jsonl", [task])
    assert ingest("canitedit", "--input", task_file, "--name", "other") == 2
    assert ingest("canitedit", "--input", task_file, "--name", "canitedit") == 0
    metadata = store.read_metadata(out, "canitedit")
    assert metadata is not None and metadata.compared_with == {} and metadata.num_records > 0
    later = store.read_metadata(out, "s1")
    assert later is not None and list(later.compared_with) == ["s0"]
    # Nor is anything compared with it, or with what no source was ingested for: it needs no index.
    shutil.rmtree(out / ".index" / "canitedit")
    write_dataset(lay.records(out, "s1"), out, "synth")
    path = lay.write(tmp_path / "3.jsonl", [lay.commit_row(3)])
    assert ingest("commitpackft", "--name", "s3", "--input", path) == 0


def test_only_sources_whose_records_change_are_written_again(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    """A copy that a later source has in better comes back when that source lets go of it."""
    rows = [lay.commit_row(i) for i in range(40)]
    for name, some in (("a", rows[:20]), ("b", rows[20:])):
        assert (
            ingest("commitpackft", "--name", name, "--input", lay.write(tmp_path / f"{name}.jsonl", some))
            == 0
        )
    alone = lay.bytes_of(out)
    files = {path: path.stat().st_ino for path in (out / "train" / "a.jsonl", out / "train" / "b.jsonl")}
    better = [{**row, "instruction": f"Do it, number {i}."} for i, row in enumerate(rows[:5])]
    twins, others = (
        lay.write(tmp_path / f"{n}.jsonl", x) for n, x in (("t", better), ("o", [lay.commit_row(99)]))
    )
    assert ingest("editpackft", "--input", twins) == 0
    changed = {path.stem: path.stat().st_ino != inode for path, inode in files.items()}
    assert changed == {"a": True, "b": False} and len(lay.records(out, "a")) == 15
    assert ingest("editpackft", "--input", others, "--overwrite") == 0
    now = lay.bytes_of(out)
    assert {name: now[name] for name in alone} == alone and len(lay.records(out, "editpackft")) == 1


def test_a_source_that_a_person_removes_counts_no_more(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lay.write(tmp_path / "c.jsonl", [lay.commit_row(i) for i in range(8)])
    assert ingest("commitpackft", "--name", "first", "--input", path) == 0
    for gone in [*out.glob("*/first.jsonl"), out / "first.metadata.json"]:
        gone.unlink()
    assert ingest("commitpackft", "--name", "second", "--input", path) == 0
    assert len(lay.records(out, "second")) == 8 and not lay.records(out, "first")
    shutil.rmtree(out / ".index" / "second")
    assert ingest("commitpackft", "--name", "third", "--input", path) == 1
    assert "the index of the source second is missing" in capsys.readouterr().err


def test_the_hub_is_named_where_no_input_is(
    ingest: Ingest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", offline)
    assert ingest("commitpackft") == 1
    assert "download the files and name them with --input" in capsys.readouterr().err
    assert ingest("jsonl") == 2


def test_configuration_from_a_file(tmp_path: Path, out: Path, lay: SimpleNamespace) -> None:
    path = lay.write(tmp_path / "c.jsonl", [lay.commit_row(i) for i in range(5)])
    config = tmp_path / "c.yaml"
    config.write_text(f"source: commitpackft\ninput: ['{path}']\nout: '{out}'\nname: packed\nworkers: 1\n")
    assert cli.main(["ingest", "--config", str(config)]) == 0
    assert store.read_metadata(out, "packed") is not None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--name", ".."), "none of '.-' first"),
        (("--name", "../x"), "expected letters"),
        (("--name", ".work"), "none of '.-' first"),
        (("--name", "summary"), "is what `stats`, `synth` or `mine` calls its own"),
        (("--name", "synth"), "is what `stats`, `synth` or `mine` calls its own"),
        (("--name", "mined_x"), "is what `stats`, `synth` or `mine` calls its own"),
        (("--name", "canitedit"), "is the name of an evaluation set"),
        (("--near-threshold", "0"), "near-threshold"),
        (("--max-chars", "-1"), "max-chars"),
        (("--workers", "-1"), "workers"),
        (("--fallback-instruction", "Fix {x}"), "only {name} and {words}"),
        (("--fractions", "0.5", "0.5", "0.5"), "sum to 1"),
        (("--columns", "pre"), "expected OURS=THEIRS"),
        (("--columns", "pre="), "expected OURS=THEIRS"),
        (("--columns", "prre=old"), "expected OURS=THEIRS; did you mean 'pre'?"),
        (("--against", "nowhere.jsonl"), "no such file"),
        (("--against", __file__), "none of its first rows can be read"),
    ],
)
def test_impossible_options_are_refused_and_touch_nothing(
    arguments: tuple[str, ...], told: str, tmp_path: Path, out: Path, lay: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = lay.write(tmp_path / "c.jsonl", [lay.commit_row(i) for i in range(5)])
    words = ["ingest", "commitpackft", "--input", str(path), "--out", str(out)]
    assert cli.main(words) == 0
    before = lay.bytes_of(out)
    assert cli.main([*words, "--overwrite", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error
    assert lay.bytes_of(out) == before


@pytest.mark.parametrize("by_name", [False, True])
def test_a_file_whose_name_is_no_utf_8_is_read_and_resumed(
    out: Path, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, by_name: bool
) -> None:
    folder = tmp_path / "in"
    written = lay.write(folder / "a.jsonl", [lay.commit_row(1)])
    file = written.rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jsonl"))
    given = file if by_name else folder
    assert ingest("commitpackft", "--input", given) == 0
    assert ingest("commitpackft", "--input", given, "--resume") == 0
    assert len(lay.records(out, "commitpackft")) == 1


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from rulewright import cli
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("limit", "place"),
    [(150_000, "shards/0000000.keys"), (220_000, ".pass")],
    ids=["the keys of a shard", "the keys of all sources"],
)
def test_a_full_disk_is_told_in_one_line_wherever_it_is_met(
    limit: int, place: str, tmp_path: Path, lay: SimpleNamespace
) -> None:
    words = ["ingest", "commitpackft", "--workers", "1", "--out", str(tmp_path / "out")]
    for name in ("a", "b"):
        rows = (lay.commit_row(i + 200 * (name == "b")) for i in range(140))
        more = ["--name", name, "--input", str(lay.write(tmp_path / f"{name}.jsonl", rows))]
        command = [sys.executable, "-c", LIMITED, str(limit), *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            break
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert place in done.stderr and "cannot be written (File too large)" in done.stderr


def test_half_a_character_in_what_is_said_of_a_row_stops_no_run(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    rows = [lay.commit_row(i) for i in range(7)]
    rows[1]["new_file"] = "pkg/\ud800.py"
    rows[2]["subject"] = "Use \ud800 is None in fetch"
    rows[3]["repos"] = "a/\udfff"  # no name of a repository, so there is none
    rows[4]["tags"] = ["\ud800"]
    rows[5]["action"] = "id: \ud800"
    assert ingest("commitpackft", "--input", lay.write(tmp_path / "a.jsonl", rows)) == 0
    assert len(lay.records(out, "commitpackft")) == 3
    assert [row["reason"] for row in lay.rejects(out, "commitpackft")] == ["undecodable"] * 4
    # Whoever reads what was written, by whatever means, can.
    assert "\\ud" not in (out / "train/commitpackft.jsonl").read_text()


@pytest.mark.parametrize("text", ["", "{}", '{"name": "a", "later": 1}'])
def test_what_another_version_ingested_is_named(
    text: str,
    tmp_path: Path,
    out: Path,
    ingest: Ingest,
    lay: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b"):
        path = lay.write(tmp_path / f"{name}.jsonl", [lay.commit_row(i) for i in range(3)])
        assert ingest("commitpackft", "--name", name, "--input", path) == (0 if name == "a" else 1)
        (out / ".index/a/result.json").write_text(text)
    said = capsys.readouterr().err
    assert "a/result.json: cannot be used" in said and "ingest a again with --overwrite" in said
