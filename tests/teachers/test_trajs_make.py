"""Which verified steps are kept: tiers, literalness, shares, splits; and the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright import cli, jsonl
from rulewright.actions import render_action
from rulewright.actions.action import Action
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id
from rulewright.data.splits import split_of
from rulewright.digests import file_sha256
from rulewright.srl.literalness import is_memorized
from rulewright.srl.train_srl import read_steps
from rulewright.teachers.tasks import parse_task

GENERAL = {"rule": {"pattern": "$A == None"}, "fix": "$A is None"}
WORDS = ("apple", "pear", "plum", "quince", "cherry", "grape", "lemon", "olive", "fig", "date", "lime")
OTHERS = "".join(f"\n\ndef other_{k}(value):\n    return value.run({k}).then(value)\n" for k in range(30))


def statement(i: int) -> str:
    names = ", ".join(f"{word}_{i}.weight * {k}" for k, word in enumerate(WORDS))
    return f"total_{i} = add({names})"


def record(i: int, tier: str, group: str, memorized: bool = False) -> NormalizedRecord:
    if memorized:
        pre = f"def f{i}():\n    {statement(i)}\n    return total_{i}\n{OTHERS}"
        rule = {"rule": {"pattern": statement(i)}, "fix": statement(i).replace("add(", "sum_of(")}
        post = pre.replace("add(", "sum_of(")
    else:
        pre = f"def f{i}(a_{i}):\n    if a_{i} == None:\n        return {i}\n    return a_{i}.run({i})\n"
        rule, post = GENERAL, pre.replace("== None", "is None")
    instruction = f"Do the change of {i}."
    return NormalizedRecord(
        instruction=instruction, pre=pre, post=post, language="python",
        metadata=RecordMetadata(
            id=record_id(instruction, pre, post, "python"), source="mined_own", license="mit", group=group,
            action=render_action(Action("python", (rule,))), provenance={"tier": tier} if tier else None,
        ),
    )  # fmt: skip


def groups(split: str) -> list[str]:
    return [name for i in range(2000) if split_of(name := f"project-{i}") == split]


Make = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write records, let the gold teacher replay them, make trajectories; give exit code and metadata."""
    monkeypatch.chdir(tmp_path)

    def run(records: list[NormalizedRecord], *more: str) -> tuple[int, dict[str, Any]]:
        jsonl.write(Path("tasks.jsonl"), (record.to_json() for record in records))
        taught = ["teacher", "run", "--tasks", "tasks.jsonl", "--teacher", "gold", "--workers", "1"]
        assert cli.main([*taught, "--overwrite"]) == 0
        code = cli.main(["trajs", "make", "--workers", "1", *more])
        path = Path("data/processed/srl/metadata.json")
        return code, json.loads(path.read_text()) if path.exists() else {}

    return run


def mixed() -> list[NormalizedRecord]:
    train = groups("train")
    made = [record(i, "train", train[i]) for i in range(9)]
    made += [record(i, "literal", train[i], memorized=True) for i in range(10, 16)]
    made += [record(i, "literal", train[i]) for i in range(20, 23)]
    made += [record(i, "reject", train[i]) for i in range(30, 34)]
    made += [record(40, "", train[40])]
    return [*made, record(50, "train", groups("dev")[0]), record(51, "train", groups("test")[0])]


def test_rejected_tiers_never_pass_and_memorized_rules_have_their_share(make: Make) -> None:
    code, found = make(mixed())
    assert code == 0
    # 13 steps are not memorized: a tenth of all may be, so one of six.
    assert found["steps"] == {"train": 14, "dev": 1}
    assert found["dropped"] == {"memorized_share": 5, "tier reject": 4, "test_split": 1}
    counts = found["counts"]["train"]
    assert counts["tiers"] == {"train": 9, "literal": 4, "untiered": 1}
    assert (counts["general"], counts["memorized"]) == (13, 1)
    assert counts["languages"] == {"python": 14} and counts["sources"] == {"mined_own": 14}
    page = Path("reports/teacher/metrics.md").read_text()
    assert "| gold | mined_own | literal | 9 |" in page and "| gold | mined_own | reject | 4 |" in page
    assert "| gold | mined_own | memorized, of any tier | 6 |" in page
    [figures] = json.loads(Path("reports/teacher/metrics.json").read_text())
    assert figures["tiers"] == {"train": 11, "literal": 9, "reject": 4, "untiered": 1}


@pytest.mark.parametrize(
    ("more", "n", "dropped"),
    [
        (["--memorized-share", "1"], 19, {"tier reject": 4, "test_split": 1}),
        (["--memorized-share", "0"], 13, {"memorized_share": 6, "tier reject": 4, "test_split": 1}),
        (["--tiers", "train"], 9, {"tier literal": 9, "tier reject": 4, "tier untiered": 1, "test_split": 1}),
        (["--tiers", "train", "reject"], 13, {"tier literal": 9, "tier untiered": 1, "test_split": 1}),
        (["--memorized-share", "1", "--literal-share", "0.2"], 12,
         {"literal_share": 7, "tier reject": 4, "test_split": 1}),
        # Memorized steps leave the share of tier `literal` to the others of that tier.
        (["--memorized-share", "0", "--literal-share", "0.2"], 12,
         {"memorized_share": 6, "literal_share": 1, "tier reject": 4, "test_split": 1}),
        (["--memorized-share", "0.1", "--literal-share", "0.3"], 14,
         {"memorized_share": 5, "tier reject": 4, "test_split": 1}),
    ],
)  # fmt: skip
def test_tiers_and_shares_are_configured(
    make: Make, more: list[str], n: int, dropped: dict[str, int]
) -> None:
    code, found = make(mixed(), *more)
    assert code == 0 and found["steps"]["train"] == n and found["dropped"] == dropped


def test_the_manifest_says_what_it_was_made_from_and_where_groups_went(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = make(mixed())
    assert code == 0
    manifest = found["manifest"]
    raw = Path("trajectories/raw/teacher/gold.jsonl")
    assert manifest["raw"][str(raw)] == {"sha256": file_sha256(raw), "bytes": raw.stat().st_size}
    assert manifest["versions"]["ast-grep-cli"].startswith("0.51") and "rulewright" in manifest["versions"]
    assert set(manifest["git"]) == {"commit", "dirty"}
    assert manifest["config"]["memorized_share"] == 0.1 and "workers" not in manifest["config"]
    where = json.loads(Path("data/processed/srl/groups.json").read_text())
    assert where[groups("dev")[0]] == {"split": "dev", "steps": 1}
    assert where[groups("test")[0]]["split"] == "test"
    assert found["groups"] == {"train": 19, "dev": 1, "test": 1}
    assert "groups of verified steps: dev 1, test 1, train 19" in capsys.readouterr().err
    first = Path("data/processed/srl/metadata.json").read_bytes()
    assert cli.main(["trajs", "make", "--workers", "2"]) == 0
    assert Path("data/processed/srl/metadata.json").read_bytes() == first


def test_when_all_verified_steps_lie_in_dev_that_is_the_message(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = groups("dev")
    assert make([record(i, "train", dev[i]) for i in range(3)])[0] == 1
    said = capsys.readouterr().err
    assert "the verified steps belong 3 to dev" in said and "data/processed/train" in said


def test_what_repeats_code_and_what_describes_a_change() -> None:
    long = "\n".join(f"    {statement(i)}" for i in range(3))
    assert is_memorized({"rule": {"pattern": statement(1)}, "fix": "pass"})
    assert is_memorized({"rule": {"pattern": f"def f($A):\n{long}"}, "fix": "pass"})
    assert is_memorized({"rule": {"kind": "x", "all": [{"inside": {"pattern": statement(1)}}]}, "fix": ""})
    assert is_memorized({"rule": {"pattern": "import a"}, "fix": f"import a\n{long}"})
    assert is_memorized({"rule": {"pattern": "import a"}, "fix": {"template": f"import a\n{long}"}})
    assert not is_memorized(GENERAL)
    assert not is_memorized({"rule": {"kind": "identifier", "regex": "^fetch_all$"}, "fix": "get_all"})
    assert not is_memorized({"rule": {"pattern": "import a"}, "fix": ""})
    assert not is_memorized(
        {"rule": {"pattern": statement(1)[:30] + "$A)"}, "fix": statement(2)[:30] + "$A)"}
    )
    many = "call(" + ", ".join(f"key{i}=$V{i}" for i in range(9)) + ")"
    assert not is_memorized({"rule": {"pattern": many.replace("$V", "$V_")}, "fix": many})


def known(
    i: int, group: str, rules: list[dict[str, Any]], pre: str, post: str, elsewhere: dict[str, Any]
) -> NormalizedRecord:
    return NormalizedRecord(
        instruction=f"Do the change of {i}.", pre=pre, post=post, language="python",
        metadata=RecordMetadata(
            id=record_id(str(i), pre, post, "python"), source="own", license="mit", group=group,
            action=render_action(Action("python", tuple(rules))), **elsewhere,
        ),
    )  # fmt: skip


def test_siblings_reach_the_steps_and_follow_an_episode(make: Make) -> None:
    """In an episode of several steps, each step knows the code elsewhere as the steps before left it."""
    old, gone = (
        {"rule": {"pattern": f"{a}($X)"}, "fix": f"{b}($X)"} for a, b in (("old", "new"), ("gone", "here"))
    )
    one = known(
        1, groups("train")[0], [old], "a = old(1)\n", "a = new(1)\n",
        {"siblings": [{"pre": "b = old(2)\n", "post": "b = new(2)\n"}], "negatives": ["older(1)\n"]},
    )  # fmt: skip
    both = {"pre": "z = old(gone(3))\n", "post": "z = new(here(3))\n"}
    other = {"pre": "z = old(4)\n", "post": "z = newer(4)\n"}
    two = known(
        2, groups("train")[1], [old, gone], "a = old(1)\nb = gone(2)\n", "a = new(1)\nb = here(2)\n",
        {"siblings": [both, other], "negatives": ["older(1)\n"]},
    )  # fmt: skip
    code, found = make([one, two, record(3, "", groups("train")[2])])
    assert code == 0
    counts = found["counts"]["train"]
    assert (counts["with_siblings"], counts["with_negatives"], sum(found["steps"].values())) == (3, 3, 4)
    steps = list(jsonl.read(Path("data/processed/srl/train.jsonl")))
    elsewhere = [(row["instruction"][-2], row["siblings"], row["negatives"]) for row in steps]
    middle = "z = new(gone(3))\n"
    assert elsewhere == [
        ("1", [{"pre": "b = old(2)\n", "post": "b = new(2)\n"}], ["older(1)\n"]),
        ("2", [{"pre": both["pre"], "post": middle}], ["older(1)\n"]),
        ("2", [{"pre": middle, "post": both["post"]}], ["older(1)\n"]),
        ("3", None, None),
    ]
    rows = read_steps(Path("data/processed/srl/train.jsonl"), [])
    assert [len(row.held_out) for row in rows] == [2, 2, 2, 0]


def test_a_row_with_broken_siblings_is_counted() -> None:
    row = {"instruction": "i", "pre": "a\n", "post": "b\n", "language": "python", "siblings": [{"pre": "a"}]}
    assert parse_task(row) == "bad_siblings"
