"""Mixes of sources by weight, and the manifests that say what was trained on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.data.made_records import record, sources

from rulewright import jsonl
from rulewright.cli import main
from rulewright.data import manifest
from rulewright.data.mix import MixEntry, Policy, mix, resolve
from rulewright.errors import UsageError


def test_a_mix_has_the_weights_asked_for_and_no_record_twice(tmp_path: Path) -> None:
    a, b = sources(tmp_path, 300, 80)
    made = mix([MixEntry(path=a, weight=0.6), MixEntry(path=b, weight=0.4)], seed=3)
    ids = [r.metadata.id for r in made]
    assert len(made) == len(ids) == len(set(ids)) == 200
    assert [c.n for c in made.contributions] == [120, 80]
    assert "60.0%" in made.report()


def test_a_mix_is_the_same_again_and_another_with_another_seed(tmp_path: Path) -> None:
    a, b = sources(tmp_path, 50, 50)
    entries = [MixEntry(path=a), MixEntry(path=b)]
    first, second, other = mix(entries, seed=1), mix(entries, seed=1), mix(entries, seed=2)
    assert list(first) == list(first) == list(second)
    assert [r.metadata.id for r in first] != [r.metadata.id for r in other]


def test_repeating_uses_all_of_the_most_plentiful_source(tmp_path: Path) -> None:
    a, b = sources(tmp_path, 60, 10)
    made = mix([MixEntry(path=a, weight=0.6), MixEntry(path=b, weight=0.4)], policy="repeat")
    counts = Counter(r.metadata.id for r in made)
    assert [c.n for c in made.contributions] == [60, 40]
    assert sorted(set(counts.values())) == [1, 4] and made.contributions[1].n_repeated == 30


def test_what_a_mix_asks_for_unless_told(tmp_path: Path) -> None:
    (a,) = sources(tmp_path, 9)
    plain = MixEntry(path=a)
    assert (plain.weight, plain.max_chars, plain.with_action) == (1, 0, False)
    assert MixEntry(path=a, weight=0.5).weight == 0.5
    for wrong in ({"weight": 0}, {"max_chars": -1}):
        with pytest.raises(ValidationError):
            MixEntry.model_validate({"path": a, **wrong})
    with pytest.raises(UsageError, match="the mix is empty"):
        mix([])
    made = mix([plain])
    assert list(made) == list(mix([plain], seed=0, limit=None, policy="undersample"))
    assert made.manifest()["licenses"] == {"mit": 9}


def test_a_mix_of_more_sources_than_a_byte_counts(tmp_path: Path) -> None:
    entries = [MixEntry(path=path) for path in sources(tmp_path, *[1] * 257)]
    made = mix(entries, policy="all")
    assert len({one.metadata.id for one in made}) == len(made) == 257
    assert len(made.files()) == 257


def test_a_mix_reads_lines_behind_a_mark_and_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/x.jsonl"
    path.parent.mkdir(parents=True)
    rows = [record(i).to_json() for i in range(3)]
    path.write_text(f"\ufeff{rows[0]}\n\n{rows[1]}\n{rows[2]}")
    made = mix([MixEntry(path=f"{tmp_path}/**/x.jsonl")])
    assert {one.metadata.group for one in made} == {"g0", "g1", "g2"}
    assert made.contributions[0].files == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_mix_filters_by_tags(tmp_path: Path) -> None:
    (a,) = sources(tmp_path, 10)
    assert all("odd" in r.tags for r in mix([MixEntry(path=a, tags=("odd",))]))
    assert not any("odd" in r.tags for r in mix([MixEntry(path=a, without_tags=("odd",))]))
    with pytest.raises(UsageError, match="no record"):
        mix([MixEntry(path=a, with_action=True)])


@pytest.mark.parametrize(
    ("entry", "taken"),
    [
        ({}, True), ({"tags": ["odd", "new"]}, True), ({"tags": ["odd", "old"]}, False),
        ({"without_tags": ["old"]}, True), ({"without_tags": ["old", "new"]}, False),
        ({"languages": ["go", "python"]}, True), ({"languages": ["go"]}, False),
        ({"with_action": True}, False), ({"max_chars": 10}, True), ({"max_chars": 9}, False),
    ],
)  # fmt: skip
def test_what_an_entry_takes(entry: dict[str, Any], taken: bool) -> None:
    given = record(1, tags=["odd", "new"], pre="a = 1", post="a = 2")
    assert MixEntry(path="p", **entry).takes(given) is taken
    with_action = given.model_copy(update={"metadata": given.metadata.model_copy(update={"action": "{}"})})
    assert MixEntry(path="p", **{**entry, "with_action": True}).takes(with_action) is (
        taken or "with_action" in entry
    )


@pytest.mark.parametrize(
    ("sizes", "weights", "policy", "limit", "wanted"),
    [
        ((60, 30), (1, 1), "all", None, [60, 30]), ((60, 30), (1, 1), "all", 10, [7, 3]),
        ((9, 9, 9), (1, 1, 1), "undersample", 10, [4, 3, 3]),
        ((9, 9, 9), (1, 1, 1), "undersample", None, [9, 9, 9]),
        ((40, 10), (0.6, 0.4), "undersample", None, [15, 10]),
        ((40, 10), (0.6, 0.4), "undersample", 26, [15, 10]),
        ((40, 10), (0.6, 0.4), "undersample", 24, [14, 10]),
        ((12, 10), (0.6, 0.4), "repeat", None, [15, 10]),
    ],
)  # fmt: skip
def test_how_many_records_each_entry_gives(
    sizes: tuple[int, ...], weights: tuple[float, ...], policy: Policy, limit: int | None,
    wanted: list[int], tmp_path: Path,
) -> None:  # fmt: skip
    entries = [MixEntry(path=p, weight=w) for p, w in zip(sources(tmp_path, *sizes), weights, strict=True)]
    made = mix(entries, policy=policy, limit=limit)
    assert [part.n for part in made.contributions] == wanted
    assert [part.n_available for part in made.contributions] == list(sizes)
    assert [part.n_repeated for part in made.contributions] == [
        max(0, n - size) for n, size in zip(wanted, sizes, strict=True)
    ]
    assert sum(part.rate for part in made.contributions) == pytest.approx(1)
    assert made.contributions[0].wanted_rate == pytest.approx(weights[0] / sum(weights))
    assert made.contributions[0].rate == pytest.approx(wanted[0] / sum(wanted))


def test_a_limit_keeps_the_weights(tmp_path: Path) -> None:
    a, b = sources(tmp_path, 100, 100)
    made = mix([MixEntry(path=a, weight=3), MixEntry(path=b, weight=1)], limit=20)
    assert [c.n for c in made.contributions] == [15, 5]


def test_a_missing_source_is_named_with_what_there_is(tmp_path: Path) -> None:
    sources(tmp_path, 1)
    with pytest.raises(UsageError, match="no such data file") as caught:
        mix([MixEntry(path=str(tmp_path / "none.jsonl"))])
    assert "s0.jsonl" in caught.value.hint


def test_where_a_relative_path_was_looked_for_is_told_and_what_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as relative:
        resolve("none.jsonl")
    assert relative.value.message == f"none.jsonl: no such data file (looked for in {tmp_path})"
    assert relative.value.hint.startswith("write it first (`rulewright ingest`")
    for i in range(6):
        (tmp_path / f"s{i}.jsonl").write_text("")
    with pytest.raises(UsageError) as absolute:
        resolve(str(tmp_path / "none.jsonl"), "run it")
    assert absolute.value.message == f"{tmp_path}/none.jsonl: no such data file"
    assert absolute.value.hint == f"there are: {', '.join(f'{tmp_path}/s{i}.jsonl' for i in range(5))}"
    with pytest.raises(UsageError, match="no such data file") as elsewhere:
        resolve(str(tmp_path / "gone" / "none.jsonl"), "run it")
    assert elsewhere.value.hint == "run it"


def test_a_mix_refuses_evaluation_sets_for_training(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(record(1, "canitedit").to_json() + "\n")
    with pytest.raises(UsageError, match="evaluation only"):
        mix([MixEntry(path=str(path))])
    assert len(mix([MixEntry(path=str(path))], training=False)) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"metadata": {"id": "r0", "source": "s", "license": "mit", "group": "g"}},
            "metadata.id: ",
        ),
        ({"metadata": {}}, "metadata.source: field required"),
        ({"pre": "a\r\n"}, "pre: value error, line ends must be"),
        ({"language": "cobol"}, "language: input should be"),
        ({"more": 1}, "more: extra inputs"),
        (None, "not JSON: expected"),
        ("twice", "not JSON: duplicate key 'pre'"),
    ],
)
def test_a_mix_names_an_invalid_record_before_it_gives_any(
    change: dict[str, Any] | str | None, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    good = record(1).to_json()
    if isinstance(change, dict):
        bad = json.dumps({**json.loads(record(2).to_json()), **change})
    else:
        bad = f'{good[:-1]}, "pre": "x"}}' if change else '{"torn": '
    path.write_text(f"{good}\n\n{bad}\n{good}\n")
    # A filter that would leave the line out cannot be trusted with it.
    for entry in (MixEntry(path=str(path)), MixEntry(path=str(path), languages=("python",))):
        with pytest.raises(UsageError, match=r"x\.jsonl:3: not a record: ") as caught:
            mix([entry])
        assert what in caught.value.message and "rulewright ingest" in caught.value.hint


def test_a_manifest_tells_changed_data(tmp_path: Path) -> None:
    a, b = sources(tmp_path, 30, 30)
    entries = [MixEntry(path=a, weight=2), MixEntry(path=b)]
    made = mix(entries, seed=5, limit=20)
    path = tmp_path / "data_manifest.json"
    jsonl.write_json(path, made.manifest())
    assert manifest.check(path) == []
    jsonl.write_json(path, {**made.manifest(), "seed": 6})
    assert manifest.check(path) == ["the same files and options give another sequence of records"]
    jsonl.write_json(path, made.manifest())
    Path(a).write_text(Path(a).read_text().replace("is None", "is not None", 1))
    assert manifest.check(path) == [f"{a}: has changed (SHA-256 differs)"]
    Path(a).unlink()
    assert manifest.check(path) == [f"{a}: no longer there"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entries": None, "policy": "most"}, "entries: input should be a valid list; policy: "),
        ({"sources": [{}]}, "sources.0.files: field required"),
        ({"entries": [{}]}, "entries.0.path: field required"),
    ],
)
def test_half_a_manifest_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"sources": [], "ids_sha256": "0", "seed": 0, "limit": None, "policy": "all", "entries": []}
    jsonl.write_json(tmp_path / "manifest.json", {**whole, **changes})
    assert main(["stats", "--manifest", str(tmp_path / "manifest.json")]) == 2
    assert f"not a data manifest: {said}" in capsys.readouterr().err


def test_a_folder_of_any_name_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "data [1]*"
    folder.mkdir()
    (folder / "a.jsonl").write_text("")
    assert resolve(str(folder)) == [folder / "a.jsonl"]
