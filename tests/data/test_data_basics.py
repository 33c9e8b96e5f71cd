"""Splits, licenses, messages, records and storage."""

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
from tests.data.made_records import record

from rulewright.data import (
    Fractions,
    NormalizedRecord,
    licenses,
    load,
    messages,
    record_id,
    split_of,
    store,
    write_dataset,
)
from rulewright.data.drafts import Drop
from rulewright.data.schemas import Sibling, held_out
from rulewright.data.splits import draw_each
from rulewright.errors import ConfigError, RulewrightError, UsageError


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


def test_a_draw_of_each_group_is_bounded_ordered_and_stable() -> None:
    names = [f"a{i}" for i in range(50)] + [f"b{i}" for i in range(3)]
    few = draw_each(names, 5, lambda name: name[0], str)
    assert Counter(name[0] for name in few) == {"a": 5, "b": 3}
    assert few == sorted(few, key=names.index)
    assert draw_each(names, 0, lambda name: name[0], str) == names
    # What is added elsewhere, and the order, change nothing.
    assert set(draw_each([*reversed(names), "c0"], 5, lambda name: name[0], str)) == {*few, "c0"}
