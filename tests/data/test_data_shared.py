"""All the real files at once: everything in, nothing lost, nothing straddling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rulewright import cli
from rulewright.data import dedup, store
from rulewright.data import keys as keytable
from rulewright.data.schemas import SPLITS, NormalizedRecord

BySplit = dict[str, list[NormalizedRecord]]
pytestmark = pytest.mark.timeout(1_800)

INGESTED: dict[str, tuple[str, ...]] = {
    "commitpackft": ("commitpackft", "commitpackft_gitedits.jsonl"),
    "codemod_fixtures": ("jsonl", "codemod_fixtures.jsonl"),
    "fixture_groups": ("jsonl", "fixture_groups.jsonl"),
    "fixture_multisite": ("jsonl", "fixture_multisite.jsonl"),
    "commit_edits": ("jsonl", "commit_edits.jsonl"),
    "commitpackft_sample": ("jsonl", "commitpackft_sample_edits.jsonl", "--license", "mit"),
    "smellycode": ("smellycode", "smellycode.jsonl"),
}


@pytest.fixture(scope="module")
def processed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All shared files, ingested one after another, windows cut."""
    out = tmp_path_factory.mktemp("shared") / "processed"
    for name, (source, file, *extra) in INGESTED.items():
        words = ["ingest", source, "--input", str(shared / "data" / file), "--out", str(out), *extra]
        words += ["--name", name] if source == "jsonl" else []
        assert cli.main([*words, "--window", "True", "--workers", "2"]) == 0, name
    return out


@pytest.fixture(scope="module")
def by_split(processed: Path) -> dict[str, list[NormalizedRecord]]:
    return {
        split: [record for path in sorted((processed / split).glob("*.jsonl")) for record in store.load(path)]
        for split in SPLITS
    }


def test_every_row_is_a_record_or_counted_and_set_aside(processed: Path, shared: Path) -> None:
    for name, (source, file, *_) in INGESTED.items():
        metadata = store.read_metadata(processed, name)
        assert metadata is not None
        n_rows = len((shared / "data" / file).read_bytes().splitlines())
        assert metadata.rows_in == n_rows, name
        assert metadata.num_records + sum(metadata.dropped.values()) == n_rows, name
        aside = store.rejects_path(processed, name).read_bytes().splitlines()
        assert len(aside) == sum(metadata.dropped.values()), name
        assert (metadata.num_records > 0) == (source != "smellycode")


def pairs(by_split: BySplit, key: Callable[[NormalizedRecord], list[str]]) -> Iterator[str]:
    """Keys that are in more than one split."""
    seen: dict[str, set[str]] = defaultdict(set)
    for split, records in by_split.items():
        for record in records:
            for value in key(record):
                seen[value].add(split)
    return (value for value, splits in seen.items() if len(splits) > 1)


def test_no_group_commit_or_text_straddles_splits(by_split: BySplit) -> None:
    assert all(by_split.values())
    assert not list(pairs(by_split, lambda r: [r.metadata.group]))
    assert not list(
        pairs(by_split, lambda r: (r.metadata.commit or "").split(",") if r.metadata.commit else [])
    )
    assert not list(pairs(by_split, lambda r: [r.metadata.id]))
    assert not list(pairs(by_split, lambda r: [r.pre + "\0" + r.post]))


@pytest.mark.parametrize("name", [name for name in INGESTED if name != "smellycode"])
def test_more_data_moves_no_record_to_another_split(
    processed: Path, shared: Path, tmp_path: Path, name: str
) -> None:
    """Half of the rows alone, and all of them after other sources: what is in both lies alike."""
    source, file, *extra = INGESTED[name]
    half = tmp_path / file
    half.write_bytes(b"".join((shared / "data" / file).read_bytes().splitlines(keepends=True)[::2]))
    words = ["ingest", source, "--input", str(half), "--out", str(tmp_path / "out"), *extra]
    words += ["--name", name] if source == "jsonl" else []
    assert cli.main([*words, "--window", "True", "--workers", "2"]) == 0
    found = []
    for folder in (processed, tmp_path / "out"):
        paths = [(split, store.split_path(folder, split, name)) for split in SPLITS]
        found.append(
            {r.metadata.id: split for split, path in paths if path.exists() for r in store.load(path)}
        )
    common = found[0].keys() & found[1].keys()
    assert len(common) >= (5 if name == "fixture_multisite" else 100)
    assert all(found[0][key] == found[1][key] for key in common)


def test_no_near_duplicates_straddle_splits(processed: Path, tmp_path: Path) -> None:
    """Every pair is compared here, not only those that share a bucket."""
    names = [name for name in INGESTED if name != "smellycode"]
    parts = [sorted((processed / ".index" / name / "shards").glob("*.keys")) for name in names]
    paths = [path for some in parts for path in some]
    sizes = [sum(len(keytable.load(path)["ids"]) for path in some) for some in parts]
    owners = np.repeat(np.arange(len(names)), sizes)
    columns = keytable.gather(paths, tmp_path)
    fields = dedup.Keys.__dataclass_fields__.keys() - {"source"}
    keys = dedup.Keys(source=owners.astype(np.uint32), **{name: columns[name] for name in fields})
    is_kept = dedup.choose(keys, 0.7).reason == 0
    for number, name in enumerate(names):
        paths = [store.split_path(processed, split, name) for split in SPLITS]
        written = {r.metadata.id for path in paths if path.exists() for r in store.load(path)}
        assert written == {key.decode() for key in columns["ids"][is_kept & (owners == number)]}
    usable = np.flatnonzero(is_kept & (keys.n_shingles > 0))
    held_out = [i for i in usable if keys.split[i] != 0]
    worst = 0.0
    for i in held_out:
        others = usable[keys.split[usable] != keys.split[i]]
        worst = max(worst, float((keys.code[others] == keys.code[i]).mean(axis=1).max()))
    assert worst < 0.7


def test_the_report_finds_nothing_wrong(processed: Path, tmp_path: Path) -> None:
    assert cli.main(["stats", str(processed), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "summary.md").read_text()
    assert "No group, commit or id is in two splits" in page
