"""Splits, licenses, messages, storage and mixes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rulewright import jsonl
from rulewright.cli import main
from rulewright.data import (
    Fractions,
    NormalizedRecord,
    licenses,
    load,
    manifest,
    messages,
    record_id,
    split_of,
    store,
    write_dataset,
)
from rulewright.data.claims import judged
from rulewright.data.drafts import Drop
from rulewright.data.mix import MixEntry, Policy, mix, resolve
from rulewright.data.schemas import Sibling, held_out
from rulewright.data.splits import draw_each
from rulewright.engine import Engine
from rulewright.errors import ConfigError, RulewrightError, UsageError


def record(i: int, source: str = "made", **changes: object) -> NormalizedRecord:
    pre, post = f"a_{i} = {i} == None\n", f"a_{i} = {i} is None\n"
    metadata = {
        "id": record_id("do", pre, post, "python"),
        "source": source,
        "license": "mit",
        "group": f"g{i}",
    }
    value = {"instruction": "do", "pre": pre, "post": post, "language": "python", "metadata": metadata}
    return NormalizedRecord.model_validate({**value, **changes})


@given(st.text(), st.text())
def test_a_split_depends_on_group_and_salt_only(group: str, salt: str) -> None:
    assert split_of(group, salt) == split_of(group, salt)
    assert split_of(group, salt, Fractions(1, 0, 0)) == "train"
    assert split_of(group, salt, Fractions(0, 0, 1)) == "test"


def test_the_split_of_a_group_never_changes() -> None:
    for salt, dev, test in (("rulewright-1", [16, 55], [56]), ("other", [12, 24, 26], [46, 51])):
        drawn = [split_of(f"owner/repo{i}", salt) for i in range(60)]
        assert [i for i, split in enumerate(drawn) if split == "dev"] == dev
        assert [i for i, split in enumerate(drawn) if split == "test"] == test
        assert drawn.count("train") == 60 - len(dev) - len(test)
    assert split_of("owner/repo16") == "dev"
    assert record_id("do", "a\n", "b\n", "python") == "aa7f47cf54d843c287f5"


def test_shares_of_groups_are_those_asked_for() -> None:
    counts = Counter(split_of(f"owner/repo{i}") for i in range(20_000))
    assert abs(counts["train"] / 20_000 - 0.90) < 0.01
    assert abs(counts["dev"] / 20_000 - 0.05) < 0.005
    assert abs(counts["test"] / 20_000 - 0.05) < 0.005


@given(st.text(), st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_a_larger_test_share_takes_no_record_out_of_test(group: str, small: float, more: float) -> None:
    before = split_of(group, fractions=Fractions(1 - small - 0.1, 0.1, small))
    after = split_of(group, fractions=Fractions(1 - small - more - 0.1, 0.1, small + more))
    assert not (before == "test" and after != "test")


@pytest.mark.parametrize("wrong", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.9, 0.05, 0.050001)])
def test_shares_must_sum_to_one(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="sum to 1"):
        Fractions(*wrong).checked()
    assert Fractions(1, 0, 0).checked() == (1, 0, 0)
    assert Fractions() == (0.9, 0.05, 0.05)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MIT", "mit"),
        ("The MIT License", "mit"),
        ("BSD-3-Clause", "bsd-3-clause"),
        ("PSF-2.0/MIT", "psf-2.0 and mit"),
        ("(MIT OR Apache-2.0)", "mit or apache-2.0"),
        ("MIT or GPL-2.0 and BSD", "mit or gpl-2.0 and bsd-3-clause"),
        ("(MIT OR GPL-2.0) AND MPL-2.0", "unknown"),
        ("permissive per card; not kept in this file", "unknown"),
        ("", "unknown"),
    ],
)
def test_licence_names(name: str, expected: str) -> None:
    assert licenses.normalize(name) == expected


def test_every_part_of_a_licence_must_be_allowed() -> None:
    assert licenses.allowed("psf-2.0 and mit", licenses.PERMISSIVE)
    assert not licenses.allowed("mit and gpl-3.0", licenses.PERMISSIVE)
    assert not licenses.allowed("unknown", licenses.PERMISSIVE)


def test_of_licences_to_choose_from_one_is_enough() -> None:
    assert licenses.allowed("gpl-2.0 or mit", licenses.PERMISSIVE)
    assert not licenses.allowed("gpl-2.0 or mit and mpl-2.0", licenses.PERMISSIVE)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mozilla Public License Version 2.0 … a secondary license is the GNU General Public License, the "
         "GNU Lesser General Public License, the GNU Affero General Public License", "mpl-2.0"),
        ("GNU GENERAL PUBLIC LICENSE Version 2 … is covered by the GNU Lesser General Public License", "gpl"),
        ("Redistributions in binary form must reproduce … Neither the name of", "bsd-3-clause"),
        ("Redistributions in binary form must reproduce", "bsd-2-clause"),
        ("All rights reserved.", "unknown"),
    ],
)  # fmt: skip
def test_a_licence_file_is_that_of_its_title(text: str, name: str) -> None:
    assert licenses.of_text(text) == name


def test_of_several_licence_files_the_first_that_is_known_counts(tmp_path: Path) -> None:
    (tmp_path / "LICENSE-HEADER.txt").write_text("Copyright by us")
    (tmp_path / "LICENSE.md").write_text("MIT: Permission is hereby granted, free of charge, to any person "
                                         "obtaining a copy")  # fmt: skip
    assert licenses.of_folder(tmp_path, 0) == "mit"


@pytest.mark.parametrize(("above", "found"), [(0, ""), (1, ""), (2, "psf-2.0")])
def test_a_licence_above_a_folder_counts_so_many_folders_up(above: int, found: str, tmp_path: Path) -> None:
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    (tmp_path / "a/licence").write_text("Python Software Foundation License")
    (tmp_path / "a/b/LICENSES").mkdir()  # a folder is no text
    assert licenses.of_folder(folder, above) == found


def test_a_licence_is_sought_in_the_first_20000_characters() -> None:
    for n, name in ((19_985, "apache-2.0"), (19_986, "unknown")):
        assert licenses.of_text("x" * n + " apache license") == name


@given(st.text(max_size=60))
def test_normalizing_a_licence_twice_is_normalizing_it_once(name: str) -> None:
    once = licenses.normalize(name)
    assert licenses.normalize(once) == once


@pytest.mark.parametrize(
    ("subject", "how", "expected"),
    [
        ("Remove the unused import of os", "strict", "Remove the unused import of os"),
        ("Fix crash on empty input (#1234)", "relaxed", "Fix crash on empty input"),
        ("feat(cli): added a flag for colors", "relaxed", "Added a flag for colors"),
        ("Fix crash on empty input (#1234)", "strict", "message_issue"),
        ("typo", "relaxed", "message_short"),
        ("Lots of small changes everywhere again", "relaxed", "message_verb"),
        ("Merge pull request from someone else", "relaxed", "message_noise"),
        ("Merge branch 'main' into a feature", "relaxed", "message_noise"),
        ("Merge nested conditions into one", "relaxed", "Merge nested conditions into one"),
        ("Drop wiped entries from the cache", "relaxed", "Drop wiped entries from the cache"),
        ("Add a wip of the parser", "relaxed", "message_noise"),
        ("Fix the bug described at https://x.y/z", "relaxed", "message_reference"),
        ("Fix bug in it", "relaxed", "Fix bug in it"),
        ("Fix bug it", "relaxed", "message_short"),
        ("Fix the bug in it", "strict", "Fix the bug in it"),
        ("Fix bug in it", "strict", "message_short"),
        ("Fix a b cd", "relaxed", "Fix a b cd"),
        ("Fix a b c", "relaxed", "message_short"),
        ("Fix the bug " + "x" * 288, "relaxed", "Fix the bug " + "x" * 288),
        ("Fix the bug " + "x" * 289, "relaxed", "message_long"),
        ("Fix the bug in " + "x" * 985, "strict", "Fix the bug in " + "x" * 985),
        ("Fix the bug in " + "x" * 986, "strict", "message_long"),
        ("fix the bug in it", "strict", "message_case"),
        ("fix the bug in it", "relaxed", "Fix the bug in it"),
        ("Removed the import of os", "strict", "message_verb"),
        ("Removed the import of os", "relaxed", "Removed the import of os"),
        ("Applies the change to os", "relaxed", "Applies the change to os"),
        ("Using the import of os", "relaxed", "Using the import of os"),
        ("Stopping the import of os", "relaxed", "Stopping the import of os"),
        ("Trees the import of os", "relaxed", "message_verb"),
        ("Undo what deadbeef brought", "relaxed", "message_verb"),
        ("Drop what deadbeef brought", "relaxed", "Drop what deadbeef brought"),
        ("Drop what deadbee1 brought", "relaxed", "message_reference"),
        ("Drop what beef01 brought", "relaxed", "Drop what beef01 brought"),
        ("parser: drop it all", "relaxed", "message_short"),
        ("[one two three] fix", "relaxed", "message_verb"),  # one word alone is no subject
        ("Signed-off-by: a b\n\n  Drop it all at once  ", "relaxed", "Drop it all at once"),
        ("", "off", "message_empty"),
        ("wip", "off", "wip"),
    ],
)
def test_messages(subject: str, how: messages.Filter, expected: str) -> None:
    result = messages.check(subject, how)
    assert (result.reason if isinstance(result, Drop) else result) == expected


@given(st.text(max_size=200), st.sampled_from(["off", "relaxed", "strict"]))
def test_any_message_gives_an_instruction_or_a_reason(message: str, how: messages.Filter) -> None:
    result = messages.check(message, how)
    assert result.reason if isinstance(result, Drop) else result.strip()


def test_what_is_written_is_what_is_loaded(out: Path) -> None:
    made = [record(i) for i in range(200)]
    metadata = write_dataset(made, out, "made", dropped={"bad": 3})
    loaded = {r.metadata.id: r for s in ("train", "dev", "test") for r in load(out / s / "made.jsonl")}
    assert loaded == {r.metadata.id: r for r in made}
    assert metadata.num_records == 200 and metadata.rows_in == 203 and sum(metadata.splits.values()) == 200
    assert metadata.sha256 == store.digest_of(out, "made")
    assert store.read_metadata(out, "made") == metadata


def test_what_is_known_of_a_data_set_stands_in_its_metadata(out: Path, tmp_path: Path) -> None:
    inputs = [tmp_path / name for name in ("new", "old")]
    for path, when in zip(inputs, (200.9, 100.7), strict=True):
        path.write_text(path.name)
        os.utime(path, (when, when))
    metadata = write_dataset(
        [record(i) for i in range(60)], out, "made", rows_in=500, dropped={"b": 1, "a": 2}, inputs=inputs
    )
    digests = {str(path): hashlib.sha256(path.name.encode()).hexdigest() for path in inputs}
    assert (metadata.rows_in, list(metadata.dropped), metadata.inputs) == (500, ["a", "b"], digests)
    assert metadata.version == store.combined(dict(reversed(digests.items()))) != store.combined({"x": "y"})
    assert re.fullmatch("sha256:[0-9a-f]{16}", metadata.version)
    assert metadata.downloaded_at == datetime.fromtimestamp(200, UTC)
    whole = b"".join((out / split / "made.jsonl").read_bytes() for split in ("train", "dev", "test"))
    assert metadata.sha256 == hashlib.sha256(whole).hexdigest()
    assert write_dataset([record(1)], out, "other", version="v1").version == "v1"
    assert store.sources_in(out) == ["made", "other"]


def test_a_line_says_only_what_is_known() -> None:
    assert store.reject_line("r", "p", None, "") == '{"reason": "r", "place": "p"}'
    whole = store.reject_line("r", "p", {"when": date(2020, 1, 2)}, "d")
    assert whole == '{"reason": "r", "place": "p", "detail": "d", "row": {"when": "2020-01-02"}}'
    assert "null" not in record(1).to_json()


def test_an_empty_data_set_is_refused_and_leaves_nothing(out: Path) -> None:
    with pytest.raises(RulewrightError, match="all 5 rows were dropped"):
        write_dataset([], out, "made", dropped={"bad": 5})
    with pytest.raises(RulewrightError, match="all 7 rows were dropped"):
        write_dataset([], out, "made", rows_in=7, dropped={"bad": 5})
    assert not list(out.glob("*/*.jsonl")) and store.read_metadata(out, "made") is None
    with pytest.raises(RulewrightError, match="there is no row in the input"):
        write_dataset([], out, "made")


def test_a_failure_while_writing_keeps_the_earlier_files(out: Path) -> None:
    write_dataset([record(1)], out, "made")

    def broken() -> Iterator[NormalizedRecord]:
        yield record(2)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_dataset(broken(), out, "made")
    assert [r.metadata.group for s in ("train", "dev", "test") for r in _maybe(out / s / "made.jsonl")] == [
        "g1"
    ]


def _maybe(path: Path) -> list[NormalizedRecord]:
    return list(load(path)) if path.exists() else []


def test_evaluation_sets_cannot_be_written_to_a_training_split(out: Path) -> None:
    with pytest.raises(UsageError, match="evaluation only"):
        write_dataset([record(1, "canitedit")], out, "canitedit", split=lambda _: "train")


def test_a_bad_line_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(record(1).to_json() + '\n{"instruction": "x"}\n')
    with pytest.raises(RulewrightError, match=r"x\.jsonl:2: .*pre: field required"):
        list(load(path))


def sources(tmp_path: Path, *sizes: int) -> list[str]:
    paths = []
    for k, size in enumerate(sizes):
        path = tmp_path / f"s{k}.jsonl"
        rows = [record(1_000 * k + i, tags=["odd"] if i % 2 else []).to_json() for i in range(size)]
        path.write_text("".join(row + "\n" for row in rows))
        paths.append(str(path))
    return paths


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


@pytest.mark.parametrize(
    ("field", "least"), [("id", 8), ("source", 1), ("license", 1), ("group", 1), ("instruction", 1)]
)
def test_the_least_that_a_record_says(field: str, least: int) -> None:
    def with_length(n: int) -> dict[str, Any]:
        value = json.loads(record(1).to_json())
        (value if field in value else value["metadata"])[field] = "x" * n
        return dict(value)

    NormalizedRecord.model_validate(with_length(least))
    with pytest.raises(ValueError, match=field):
        NormalizedRecord.model_validate(with_length(least - 1))


@pytest.mark.parametrize(("n", "held"), [(4_000, 1), (4_001, 0)])
def test_what_is_tried_elsewhere_is_four_short_texts_of_each_kind(n: int, held: int) -> None:
    long = "x" * n
    assert len(held_out([Sibling(pre="a", post=long)], ())) == len(held_out((), [long])) == held
    changing, staying = [Sibling(pre=f"a{i}", post="b") for i in range(5)], [f"n{i}" for i in range(5)]
    same = Sibling(pre="s", post="s")
    found = held_out([changing[0], same, *changing], staying)
    assert found == (
        *((f"a{i}", "b") for i in range(4)), ("s", "s"), ("n0", "n0"), ("n1", "n1"), ("n2", "n2"),
    )  # fmt: skip


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


def test_a_claim_is_named_by_its_step_or_its_record(tmp_path: Path) -> None:
    rejected = {"pre_code": "a\n", "teacher": {}, "env": {"verdict": "no_match"}}
    rows: dict[str, dict[str, Any]] = {
        "t/2": {**rejected, "task_id": "t", "step": 2}, "t/0": {**rejected, "task_id": "t"}, "/0": rejected,
        "m": {"metadata": {"id": "m"}, "id": "i"}, "i": {"metadata": "x", "id": "i"}, "": {},
    }  # fmt: skip
    path = tmp_path / "claims.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()) + "[]\n")
    with Engine() as engine:
        found = [claim for claim, _ in judged(path, 0, engine)]
        assert [claim.name for claim, _ in judged(path, 3, engine)] == ["t/2", "t/0", "/0"]
    assert [(claim.name, claim.skip) for claim in found[:-1]] == [
        (name, "rejected step" if "/" in name else "no action") for name in rows
    ]
    assert (found[-1].line, found[-1].name, found[-1].is_checked) == (7, "", False) and found[-1].problem


@pytest.mark.parametrize(
    ("row", "problem", "action"),
    [
        ({"pre": "a\n", "post": None, "action": "x"}, "must be text", ""),
        ({"pre": 1, "post": "a\n", "action": "x"}, "must be text", ""),
        ({"pre": "a\n", "post": "b\n", "action": {"é": 1}}, "", '{"é": 1}'),
        ({"pre": "a\n", "post": "b\n", "action": "x", "metadata": {"action": "y"}}, "", "y"),
        ({"pre_code": "a\n", "teacher": [], "env": {}}, "must be objects", ""),
        ({"pre_code": "a\n", "teacher": {}, "env": None}, "must be objects", ""),
        ({"pre_code": "a\n", "teacher": {"action": "x"}, "env": {"verdict": "ok", "post_code": "b\n"}},
         "", "x"),
        # A column of another kind of line does not make it one.
        ({"pre_code": "c\n", "pre": "a\n", "post": "b\n", "action": "x"}, "", "x"),
    ],
)  # fmt: skip
def test_what_a_line_claims(row: dict[str, Any], problem: str, action: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text(json.dumps({"language": "Python", **row}) + "\n")
    with Engine() as engine:
        [(claim, _)] = judged(path, 0, engine)
    assert problem in claim.problem and bool(problem) == bool(claim.problem)
    assert (claim.action, claim.is_checked) == (action, not problem)
    assert problem or (claim.pre, claim.post, claim.language) == ("a\n", "b\n", "python")


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


def test_a_draw_of_each_group_is_bounded_ordered_and_stable() -> None:
    names = [f"a{i}" for i in range(50)] + [f"b{i}" for i in range(3)]
    few = draw_each(names, 5, lambda name: name[0], str)
    assert Counter(name[0] for name in few) == {"a": 5, "b": 3}
    assert few == sorted(few, key=names.index)
    assert draw_each(names, 0, lambda name: name[0], str) == names
    # What is added elsewhere, and the order, change nothing.
    assert set(draw_each([*reversed(names), "c0"], 5, lambda name: name[0], str)) == {*few, "c0"}


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
