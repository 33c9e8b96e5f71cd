"""`rulewright stats`: what is measured, and what is called a problem."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rulewright import cli, jsonl
from rulewright.data import NormalizedRecord, readers, record_id, write_dataset
from rulewright.data.stats import collect as stats_of
from rulewright.data.stats import edit_size, histogram, quantiles

Ingest = Callable[..., int]


@pytest.fixture
def processed(tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace) -> Path:
    path = lay.write(tmp_path / "c.jsonl", [lay.commit_row(i) for i in range(100)])
    assert ingest("commitpackft", "--input", path, "--near-threshold", 2) == 0
    return out


def stats(folder: Path, report: Path) -> int:
    return cli.main(["stats", str(folder), "--out", str(report), "--workers", "1"])


def test_the_figures(processed: Path, tmp_path: Path) -> None:
    assert stats(processed, tmp_path / "r") == 0
    found = json.loads((tmp_path / "r" / "summary.json").read_text())
    source = found["sources"]["commitpackft"]
    assert source["n_records"] == 100 and sum(source["per_split"].values()) == 100
    assert source["changed_lines"] == {"median": 1, "p90": 1, "p95": 1, "max": 1}
    assert source["one_hunk_rate"] == 1.0 and source["languages"] == {"python": 100}
    assert source["n_groups"] == 100 and source["metadata"]["rows_in"] == 100
    size = sum(p.stat().st_size for p in processed.glob("*/commitpackft.jsonl") if "rejects" not in str(p))
    assert source["n_bytes"] == size


def edit(pre: str, post: str, group: str, **more: Any) -> NormalizedRecord:
    metadata = {"id": record_id("do it", pre, post, "python"), "source": "mined_x", "group": group}
    known = {"license": "mit", **more.pop("metadata", {})}
    value = {"instruction": "do it", "pre": pre, "post": post, "language": "python", **more}
    return NormalizedRecord.model_validate({**value, "metadata": {**metadata, **known}})


def test_each_figure_of_three_edits(tmp_path: Path) -> None:
    edits = [
        edit("a = 1\n", "a = 2\n", "g1", tags=["new", "odd"], metadata={"commit": "c1,c2", "action": "{}"}),
        edit("a\nb\nc\n", "x\nb\ny\nz\n", "g1", tags=["odd"], language="go",
             metadata={"repo": "r", "path": "p"}),
        edit("q = 1\n" * 33 + "r\n", "q = 1\n" * 33 + "s\n", "g2",
             metadata={"commit": "c2", "license": "bsd"}),
    ]  # fmt: skip
    write_dataset(
        edits, tmp_path, "mined_x", dropped={"bad": 4},
        split=lambda one: "dev" if one.metadata.group == "g2" else "train",
    )  # fmt: skip
    found = stats_of(tmp_path)
    n_bytes = sum(path.stat().st_size for path in tmp_path.glob("*/*.jsonl"))
    assert 500 < n_bytes < 1_500, "a millionth of a gigabyte, rounded"
    assert found["total"] == {
        "n_records": 3, "n_invalid": 0, "n_groups": 2, "n_bytes": n_bytes, "gigabytes": 1e-06,
        "n_tokens": 8 + 9 + 202, "per_split": {"train": 2, "dev": 1, "test": 0},
        "languages": {"python": 2, "go": 1}, "licenses": {"mit": 2, "bsd": 1}, "tags": {"odd": 2, "new": 1},
        "changed_lines": {"median": 1, "p90": 3, "p95": 3, "max": 3},
        "changed_lines_histogram": {"1": 2, "3": 1},
        "hunks": {"median": 1, "p90": 2, "p95": 2, "max": 2}, "one_hunk_rate": 0.6667,
        "pre_chars": {"median": 0, "p90": 200, "p95": 200, "max": 200},
        "optional_fields": {"commit": 2, "repo": 1, "path": 1, "tests": 0, "action": 1, "provenance": 0},
    }  # fmt: skip
    assert found["mined"] == {"x": {"n_considered": 7, "n_expressible": 3, "rate": 0.4286}}
    assert found["problems"] == ["1 commits are in both train and dev"]
    assert [found["splits"][split]["n_records"] for split in ("train", "dev", "test")] == [2, 1, 0]


def test_the_twenty_most_common_tags_are_counted(tmp_path: Path) -> None:
    tags = [f"t{i:02}" for i in range(21)]
    edits = [edit("a = 1\n", "a = 2\n", "g", tags=tags), edit("b = 1\n", "b = 2\n", "h", tags=tags[1:])]
    write_dataset(edits, tmp_path, "mined_x")
    assert stats_of(tmp_path)["total"]["tags"] == dict.fromkeys(tags[1:], 2)


def test_files_that_are_not_those_of_their_metadata_are_a_problem(tmp_path: Path) -> None:
    write_dataset([edit("a = 1\n", "a = 2\n", "g")], tmp_path, "mined_x", split=lambda _: "dev")
    path = tmp_path / "mined_x.metadata.json"
    path.write_text(path.read_text().replace('"num_records": 1', '"num_records": 1000'))
    assert stats_of(tmp_path)["problems"] == ["mined_x: 1 records, its metadata say 1,000"]
    (tmp_path / "dev" / "mined_x.jsonl").unlink()
    [problem] = stats_of(tmp_path)["problems"]
    assert "SHA-256 differs" in problem


def test_the_report_is_the_same_again_and_holds_what_the_plan_asks(processed: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert stats(processed, tmp_path / name) == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()}
    assert set(files) == {"summary.md", "summary.json", "commitpackft.md", "records.svg", "edit_size.svg"}
    page = files["summary.md"].decode()
    assert "| commitpackft | 100.0% | 100.0% | 100.0% | 0.0% | 0.0% | 0.0% |" in page
    for part in (
        "## Optional fields",
        "## By source",
        "## By language",
        "## Edits",
        "## Licenses",
        "edit_size.svg",
    ):
        assert part in page
    assert "| [commitpackft](commitpackft.md) |" in page


def test_files_cut_into_pieces_give_the_same_figures(
    processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stats(processed, tmp_path / "whole") == 0
    monkeypatch.setattr(readers, "pieces", functools.partial(readers.pieces, chunk_bytes=500))
    assert stats(processed, tmp_path / "cut") == 0
    found = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "cut")]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"instruction": "x"}', "pre: field required"),
        ("not json", "not_json"),
        ("[1]", "expected a JSON object"),
        ('{"pre": "a", "pre": "b"}', "duplicate key 'pre'"),
    ],
)
def test_an_invalid_record_is_named_and_fails(
    line: str, told: str, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = processed / "train" / "commitpackft.jsonl"
    n_lines = len(path.read_text().splitlines())
    path.write_text(path.read_text() + line + "\n")
    assert stats(processed, tmp_path / "r") == 1
    error = capsys.readouterr().err
    assert f"train/commitpackft.jsonl:{n_lines + 1}: " in error and told in error
    assert "SHA-256 differs" in error


def test_the_classes_of_edit_size() -> None:
    counts = Counter(
        {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 10: 1, 11: 1, 21: 1, 50: 2, 51: 1, 100: 1, 101: 1, 9_999: 4}
    )
    assert histogram(counts) == {
        "1": 1, "2": 1, "3": 1, "4-5": 2, "6-10": 3, "11-20": 1, "21-50": 3, "51-100": 2, ">100": 5,
    }  # fmt: skip
    assert histogram(Counter()) == {}


@pytest.mark.parametrize(
    ("pre", "post", "lines", "hunks"),
    [
        ("a\n", "b\n", 1, 1),
        ("a\nb\n", "b\n", 1, 1),
        ("b\n", "a\nb\nc\n", 2, 2),
        ("a\nb\nc\n", "x\ny\nz\nw\n", 4, 1),
        ("a\nb\nc\nd\n", "x\nb\nc\ny\n", 2, 2),
        ("a\n", "a", 0, 1),
    ],
)
def test_the_size_of_an_edit(pre: str, post: str, lines: int, hunks: int) -> None:
    assert edit_size(pre, post) == (lines, hunks)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, (1, 1, 1, 1)),
        (2, (1, 2, 2, 2)),
        (10, (5, 9, 10, 10)),
        (20, (10, 18, 19, 20)),
        (21, (11, 19, 20, 21)),
    ],
)
def test_quantiles_are_values_that_occur(n: int, expected: tuple[int, ...]) -> None:
    assert tuple(quantiles(Counter(range(1, n + 1))).values()) == expected
    assert quantiles(Counter()) == {}


@pytest.mark.parametrize(("n", "told"), [(50, 50), (53, 50)])
def test_of_the_invalid_lines_of_a_file_fifty_are_told(
    n: int, told: int, processed: Path, tmp_path: Path
) -> None:
    path = processed / "train" / "commitpackft.jsonl"
    path.write_text(path.read_text() + "not json\n" * n)
    assert stats(processed, tmp_path / "r") == 1
    found = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert sum("not_json" in problem for problem in found["problems"]) == told
    assert (f"… and {n - told} more invalid lines" in found["problems"]) is (n > told)
    assert found["n_invalid"] == found["total"]["n_invalid"] == n


def test_what_straddles_splits_is_a_problem(
    processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (processed / "train" / "commitpackft.jsonl").read_text().splitlines()[0]
    (processed / "dev" / "stray.jsonl").write_text(line + "\n")
    assert stats(processed, tmp_path / "r") == 1
    error = capsys.readouterr().err
    assert "1 groups are in both train and dev" in error and "stray.metadata.json: missing" in error


def test_an_evaluation_record_in_training_is_a_problem(
    processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = processed / "train" / "commitpackft.jsonl"
    path.write_text(path.read_text().replace('"source": "commitpackft"', '"source": "canitedit"', 1))
    assert stats(processed, tmp_path / "r") == 1
    assert "which is for evaluation only, in the split 'train'" in capsys.readouterr().err


def test_no_data_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stats(tmp_path, tmp_path / "r") == 2
    assert "no processed data" in capsys.readouterr().err


def test_a_manifest_is_checked(processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rulewright.data import manifest
    from rulewright.data.mix import MixEntry, mix

    entries = [MixEntry(path=str(processed / "train" / "commitpackft.jsonl"))]
    path = tmp_path / manifest.NAME
    jsonl.write_json(path, mix(entries, seed=1).manifest())
    assert cli.main(["stats", "--manifest", str(path)]) == 0
    assert "the training data are unchanged" in capsys.readouterr().err
    result = tmp_path / "result.json"  # as a training run writes it
    result.write_text(json.dumps({"task": "edit", "sources": json.loads(path.read_text())}))
    assert cli.main(["stats", "--manifest", str(result)]) == 0
    file = processed / "train" / "commitpackft.jsonl"
    file.write_text(file.read_text() + "\n")
    assert cli.main(["stats", "--manifest", str(path)]) == 1
    assert cli.main(["stats", "--manifest", str(tmp_path / "none.json")]) == 2
    path.write_text("{}")
    assert cli.main(["stats", "--manifest", str(path)]) == 2
