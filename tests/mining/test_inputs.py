"""Edits as the miner reads them: what a row means, which rows are none, and where to stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright.errors import UsageError
from rulewright.mining.inputs import EditRow, Stream, changed_lines


def rows(path: Path, *given: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return path


ROW = {"id": "a", "language": "python", "pre": "a = 1\n", "post": "a = 2\n"}


def first(path: Path, /, **more: Any) -> EditRow:
    return next(iter(Stream([rows(path, {**ROW, **more})])))


def test_lines_on_one_side_only_are_counted_as_a_bag() -> None:
    assert changed_lines("a\nb\nc\n", "a\nc\nb\n") == 0
    assert changed_lines("a\na\n", "a\n") == 1
    assert changed_lines("a\nb\n", "c\n") == 2
    assert changed_lines("a\n", "c\nd\ne\n") == 3


def test_edits_of_too_many_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    two = {**ROW, "id": "b", "pre": "a = 1\nb = 1\n", "post": "a = 2\nb = 2\n"}
    stream = Stream([rows(tmp_path / "e.jsonl", ROW, two)], max_lines=1)
    assert [edit.id for edit in stream] == ["a"]
    assert dict(stream.excluded) == {"too many changed lines": 1} and not stream.places
    assert [edit.id for edit in Stream([tmp_path / "e.jsonl"], max_lines=2)] == ["a", "b"]
    assert [edit.id for edit in Stream([tmp_path / "e.jsonl"])] == ["a", "b"]


def test_a_limit_stops_and_a_second_reading_begins_anew(tmp_path: Path) -> None:
    given = [{**ROW, "post": f"a = {i}\n"} for i in range(2, 5)]
    stream = Stream([rows(tmp_path / "e.jsonl", *given)], limit=2)
    for _ in range(2):
        assert [edit.id for edit in stream] == ["a", "a#2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pre": 1}, "no text `pre`"),
        ({"post": None}, "no text `post`"),
        ({"post": ROW["pre"]}, "identical sides"),
        ({"pre": " \n"}, "empty pre"),
        ({"language": "klingon"}, "unknown language"),
    ],
)
def test_a_row_that_is_no_edit_is_named_with_its_line(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    stream = Stream([rows(tmp_path / "e.jsonl", ROW, {**ROW, **change}, ROW)])
    assert len(list(stream)) == 2
    assert stream.places == [(f"{tmp_path}/e.jsonl:2", reason)] and stream.excluded[reason] == 1


def test_what_a_row_does_not_say_is_looked_up_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "train" / "e.jsonl"
    plain = first(path, id=None, instruction="None")
    assert (plain.source, plain.license, plain.instruction) == ("unknown", "unknown", "")
    assert plain.id and plain.split == plain.belongs_to == "train" and plain.alone
    told = first(path, metadata={"repo": "r", "commit": "c"}, alone=False, path="x.py")
    assert (told.source, told.whole, told.extra, told.alone) == (
        "r",
        "r",
        {"repo": "r", "commit": "c"},
        False,
    )
    assert first(path, metadata={"repo": "r"}, source="s", group="g").whole == "g"
    assert first(path, repo="r", commit="c").extra == {"repo": "r", "commit": "c"}
    assert first(tmp_path / "e.jsonl", split="dev").split == "dev"
    assert first(tmp_path / "e.jsonl", pre="a = 1\r\n").pre == "a = 1\n"


def test_a_stream_is_named_after_its_first_input(tmp_path: Path) -> None:
    one, two = (rows(tmp_path / name, ROW) for name in ("my edits.jsonl", "b.jsonl"))
    stream = Stream([one, two])
    assert stream.name == "my-edits" and stream.files == [one, two] and not stream.repositories


def test_a_folder_gives_its_rows_but_not_what_was_made_of_them(tmp_path: Path) -> None:
    kept = rows(tmp_path / "b.jsonl", ROW)
    for other in ("mined_b.jsonl", ".hid.jsonl", "rejects/b.jsonl"):
        rows(tmp_path / other, ROW)
    assert Stream([tmp_path]).files == [kept]
    with pytest.raises(UsageError, match="no such file or folder"):
        Stream([tmp_path / "nothing"])
    with pytest.raises(UsageError, match="has no `post`"):
        Stream([rows(tmp_path / "no" / "c.jsonl", {"pre": "a"})])


def test_a_file_of_which_no_row_can_be_an_edit_is_refused_with_the_way_out(tmp_path: Path) -> None:
    numbers = rows(tmp_path / "n.jsonl", {"pre": 1, "post": 2}, {"pre": ["a"], "post": ["b"]})
    with pytest.raises(UsageError, match="`pre` and `post` are no texts in its first rows") as refused:
        Stream([numbers])
    assert "rulewright ingest jsonl" in refused.value.hint
    for text in (json.dumps([ROW]), json.dumps({"pre": [ROW["pre"]], "post": [ROW["post"]]})):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(UsageError, match="one JSON text") as refused:
            Stream([tmp_path / "a.json"])
        assert "rulewright ingest jsonl" in refused.value.hint
    assert len(list(Stream([rows(tmp_path / "m.jsonl", {"pre": 1, "post": 2}, ROW)]))) == 1
