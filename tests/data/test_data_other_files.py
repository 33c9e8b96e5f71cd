"""Data files as people have them: no language column, chats, patches, tables, folders of tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.data import files, store

BODIES = ["stream.read()", "[row.strip() for row in stream]", "json.load(stream)", "sum(map(int, stream))"]


def rows(**names: str) -> list[dict[str, str]]:
    """Edits under the given names of the columns."""
    made = []
    for number, body in enumerate(BODIES):
        pre = f"def load_{number}(path):\n    if path == None:\n        return {number}\n    return {body}\n"
        values = {"instruction": "Compare with None.", "pre": pre, "post": pre.replace("== None", "is None")}
        made.append({theirs: values[ours] for ours, theirs in names.items()})
    return made


def write(path: Path, made: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


def ingest(tmp_path: Path, path: Path, *words: str) -> int:
    common = ["--license", "mit", "--workers", "1", "--out", str(tmp_path / "out"), "--overwrite"]
    return cli.main(["ingest", "jsonl", "--input", str(path), *common, *words])


def test_the_language_is_stated_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "instruct.jsonl", rows(instruction="instruction", pre="input", post="output"))
    assert ingest(tmp_path, path) == 1
    assert "--language python" in capsys.readouterr().err
    rejects = store.rejects_path(tmp_path / "out", "jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rejects) == len(BODIES) and all("language" in line for line in rejects)
    assert ingest(tmp_path, path, "--language", "Python") == 0
    metadata = store.read_metadata(tmp_path / "out", "jsonl")
    assert metadata is not None and set(metadata.languages) == {"python"}
    assert ingest(tmp_path, path, "--language", "pyton") == 2
    assert "did you mean 'python'" in capsys.readouterr().err


def test_an_instruction_for_all_rows_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", rows(pre="before", post="after"))
    words = ["--language", "python", "--fallback-instruction"]
    assert ingest(tmp_path, path, *words, "Improve this code.") == 0
    splits = [store.split_path(tmp_path / "out", split, "jsonl") for split in ("train", "dev", "test")]
    found = [line for path in splits if path.exists() for line in path.read_text().splitlines()]
    assert {json.loads(line)["instruction"] for line in found} == {"Improve this code."}
    assert ingest(tmp_path, path, *words, "Apply {name}.") == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, ["chats", "question"]),
        ({"conversations": []}, ["chats"]),
        ({"repo": "a/b", "patch": "diff --git", "base_commit": "0"}, ["patches", "ingest git"]),
        ({"row_idx": 0, "row": {"pre": "a", "post": "b"}}, ["wraps", "under `row`"]),
    ],
)
def test_rows_of_another_kind_are_named_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: dict[str, object], words: list[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert ingest(tmp_path, path) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words) and "--columns pre=" not in said


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("t.csv", 'instruction,input\n"a","b"\n', "a CSV file"),
        ("t.tsv", "pre\tpost\na\tb\n", "a TSV file"),
        ("data", "pre,post,language\na,b,c\n", "a CSV file"),
    ],
)
def test_tables_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, kind: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert ingest(tmp_path, tmp_path / name) == 2
    said = capsys.readouterr().err
    assert kind in said and "to_json" in said
    (tmp_path / "words").write_text("pre\npost\n", encoding="utf-8")
    assert ingest(tmp_path, tmp_path / "words") == 2
    assert "none of its first rows can be read" in capsys.readouterr().err


def test_what_tools_write_beside_data_is_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "hub/train.jsonl", rows(instruction="instruction", pre="pre", post="post"))
    for name in ("dataset_infos.json", "state.json"):
        (tmp_path / "hub" / name).write_text("{}")
    assert files.find([str(tmp_path / "hub")]) == [path]
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/data-00000-of-00001.arrow").write_bytes(b"ARROW1")
    (tmp_path / "saved/dataset_info.json").write_text("{}")
    assert ingest(tmp_path, tmp_path / "saved") == 2
    assert "save_to_disk" in capsys.readouterr().err
    (tmp_path / "saved/dataset_dict.json").write_text('{"splits": ["train"]}')
    assert ingest(tmp_path, tmp_path / "saved") == 2
    assert "(FOLDER)['train'].to_parquet" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["wrapped", "columns"])
def test_json_in_other_shapes_is_read(tmp_path: Path, form: str) -> None:
    made = rows(instruction="instruction", pre="pre", post="post")
    wrapped = {"features": [], "rows": [{"row_idx": i, "row": row} for i, row in enumerate(made)]}
    columns = {name: [row[name] for row in made] for name in made[0]}
    path = tmp_path / "edits.json"
    path.write_text(json.dumps(wrapped if form == "wrapped" else columns), encoding="utf-8")
    assert ingest(tmp_path, path, "--language", "python") == 0


def test_a_comma_too_many_is_told_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "edits.json").write_text('[{"pre": "a", "post": "b"},]')
    assert ingest(tmp_path, tmp_path / "edits.json") == 2
    said = capsys.readouterr().err
    assert "column" in said and "fetch it again" not in said
