"""Several edits of one change → what they have in common; groups, inputs, diffs, pool."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from rulewright import cli, engine, jsonl
from rulewright.actions import parse_action, visit
from rulewright.actions.action import Action
from rulewright.data import store
from rulewright.engine.rules import compile_rule
from rulewright.errors import UsageError
from rulewright.mining import Example, claim, inputs, mine_many
from rulewright.mining.by_hand import diffs
from rulewright.mining.judge import background
from rulewright.mining.judge.confidence import confidence, is_reckless
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn.corpus import clusters, signature
from rulewright.mining.learn.generalize import (
    KEPT_PER_EXAMPLE,
    General,
    PreparedExample,
    anti_unify,
    generalize,
)
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.rules import reading
from rulewright.mining.text.tree import Tree


def example(pre: str, post: str) -> Example:
    return Example(pre, post, "python")


def test_what_differs_between_two_examples_becomes_a_variable() -> None:
    group = [
        example("a = apply_all(1, mode=None)\n", "a = run(1)\n"),
        example("print(apply_all(rows[0], mode=None))\n", "print(run(rows[0]))\n"),
    ]
    rules = mine_many(group)
    assert rules[0].support == 2
    assert rules[0].exact == (0, 1) and rules[0].partial == ()
    action = rules[0].action("python")
    assert engine.apply(action, "return_(apply_all(f(x), mode=None))\n").post == "return_(run(f(x)))\n"


@pytest.mark.parametrize(
    ("one", "other", "pattern", "fix"),
    [
        # Lists of unlike length: their equal ends stay.
        ("call(it, a(1), b(2), end)", "call(it, c(3), end)", "call(it, $$$A, end)", "fresh(it, $$$A, end)"),
        # Of a list within a list that only the other has more of, nothing stays.
        ("call(x, [a])", "call(y, [a, b])", "call($$$A)", "fresh($$$A)"),
        ("call(x, [a, b])", "call(y, [a])", "call($$$A, [a, $$$B])", "fresh($$$A, [a, $$$B])"),
        # What is no item of a list is one node.
        ("if Alpha.call(x): go()", "if Beta.call(x): go()", "$A.call(x)", "$A.fresh(x)"),
    ],
)  # fmt: skip
def test_what_two_examples_have_in_common(one: str, other: str, pattern: str, fix: str) -> None:
    pools = [
        PreparedExample(example(f"{code}\n", f"{code}\n".replace("call", "fresh"))).pools
        for code in (one, other)
    ]
    found = [(rule.rule["rule"], rule.rule["fix"]) for rule in anti_unify(*pools)]
    assert ({"pattern": pattern}, fix) in found


def test_a_rule_that_another_example_contradicts_is_left_out() -> None:
    group = [example("x = old(1)\n", "x = new(1)\n"), example("x = old(1)\ny = a\n", "x = old(1)\ny = b\n")]
    rules = mine_many(group)
    assert rules and all(rule.support == 1 for rule in rules)
    assert not any("old" in str(rule.candidate.rule) for rule in rules)


def test_a_whole_example_counts_twice_as_much_as_a_part() -> None:
    group = [
        example("old(a)\nold(b)\n", "new(a)\nnew(b)\n"),
        example("old(c)\nstop(1)\n", "new(c)\nhalt(1)\n"),
    ]
    [rule] = mine_many(group)
    assert (rule.exact, rule.partial, rule.rank[0]) == ((0,), (1,), -1.5)


def test_a_group_without_agreement_abstains() -> None:
    group = [PreparedExample(example("a(1)\n", "b(1)\n")), PreparedExample(example("c(2)\n", "d(2)\n"))]
    assert claim(generalize(group), group) is None


def test_no_examples_claim_nothing() -> None:
    assert claim([], []) is None


def test_a_group_that_agrees_claims() -> None:
    group = [PreparedExample(example(f"x = old({i})\n", f"x = new({i})\n")) for i in range(3)]
    action = claim(generalize(group), group)
    assert action is not None
    assert engine.apply(action, "y = old(z)\n").post == "y = new(z)\n"


def test_a_group_claims_nothing_that_asks_for_next_to_nothing() -> None:
    sides = (("one", "red"), ("two[0]", "blue()"), ("three", "4"))
    group = [PreparedExample(example(f"{a} is {b}\n", f"{a} == {b}\n")) for a, b in sides]
    rules = generalize(group)
    assert rules[0].support == 3
    assert claim(rules, group) is None


def test_a_group_renames_a_name_in_its_role_only() -> None:
    group = [
        PreparedExample(example(f"run({i}, newlines=True)\n", f"run({i}, text=True)\n")) for i in range(3)
    ]
    action = claim(generalize(group), group)
    assert action is not None
    assert engine.apply(action, "run(newlines=newlines)\n").post == "run(text=newlines)\n"


def general(exact: tuple[int, ...], partial: tuple[int, ...] = (), old: str = "f = $A") -> General:
    rule = {"rule": {"pattern": old}, "fix": "g = $A"}
    anchor = Tree("f = 1\n", "python").root
    return General(Candidate(rule, "pattern", anchor, "assignment", frozenset({0})), exact, partial)


def test_a_rule_claims_what_two_examples_show_if_it_asks_for_enough() -> None:
    assert general((0, 1)).claims and general((0,), (1,)).claims and general((), (0, 1)).claims
    assert general((0, 1)).candidate.bits == 7.0 and general((0, 1), old="f: $A").candidate.bits < 7.0
    assert not general((0,)).claims and not general((0, 1), old="f: $A").claims
    assert general((0, 1)).suffices and not general((0,), (1,)).suffices and not general((0,)).suffices


def test_an_example_that_is_done_in_part_counts_half() -> None:
    ranks = [general((0, 1)), general((0,), (1, 2)), general((0,), (1,)), general((0,)), general((), (0, 1))]
    assert [one.rank[0] for one in ranks] == [-2.0, -2.0, -1.5, -1.0, -1.0]
    long, short = (general((0,), old=old) for old in ("alpha.beta.gamma.delta = $A", "alpha.beta = $A"))
    assert short.rank < long.rank, "then by price"


def test_a_group_claims_nothing_that_brings_a_variable_of_its_code() -> None:
    def method(name: str, given: str) -> str:
        return f"def {name}(a, &given)\n  go(a) if {given}\nend\n"

    group = [
        PreparedExample(Example(method(name, "block_given?"), method(name, "given"), "ruby"))
        for name in ("f", "g")
    ]
    rules = generalize(group)
    assert rules[0].support == 2
    assert claim(rules, group) is None


def test_a_member_of_several_values_is_reckless() -> None:
    assert is_reckless({"rule": {"pattern": "$A.matches($$$B)"}, "fix": "$$$B.matches($A)"})
    assert not is_reckless({"rule": {"pattern": "$A.matches($$$B)"}, "fix": "$A.fits($$$B)"})


def test_a_group_claims_nothing_of_a_name_of_one_letter() -> None:
    group = [PreparedExample(example(f"n = {i}\n", f"size = {i}\n")) for i in range(3)]
    rules = generalize(group)
    assert rules[0].support == 3
    assert claim(rules, group) is None


def test_a_group_claims_nothing_that_leaves_one_of_its_examples_half_done() -> None:
    whole = [PreparedExample(example(f"old({i}, a)\n", f"fresh({i}, a)\n")) for i in range(2)]
    half = PreparedExample(example("old(3, a)\nx = 1\n", "fresh(3, a)\ny = z\n"))
    rules = generalize([*whole, half])
    assert rules[0].exact == (0, 1) and rules[0].partial == (2,) and rules[0].claims
    assert claim(rules, whole) is not None and claim(rules, [*whole, half]) is None


def test_signature_says_what_goes_and_comes() -> None:
    assert signature({"rule": {"pattern": "foo($A)"}, "fix": "bar($A)"}) == "foo → bar"
    assert signature({"rule": {"pattern": "{ $A }"}, "fix": "{$A}"}) == ""


def test_edits_with_rules_alike_come_together_the_largest_groups_first() -> None:
    def result(name: str, language: str, *olds: str) -> dict[str, Any]:
        rules = [{"rule": {"pattern": f"{old}($A)"}, "fix": "new($A)"} for old in olds]
        return {"id": name, "language": language, "rules": rules}

    found = clusters([
        result("a", "python", "b", "c"), result("d", "python", "b", "c"), result("e", "python", "c"),
        result("f", "go", "c"), result("g", "go", "c"),
        result("h", "python", "i", "i"), result("j", "python", "k"),
    ])  # fmt: skip
    assert [(one.language, one.signature, one.members) for one in found] == [
        ("python", "c → new", [("a", 1), ("d", 1), ("e", 0)]),
        ("go", "c → new", [("f", 0), ("g", 0)]),
        ("python", "b → new", [("a", 0), ("d", 0)]),
    ]


def test_background_counts_places() -> None:
    action = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "new($A)"},))
    assert background.count(action, ["old(1)\nold(2)\n", "nothing\n", "old(old(3))\n"]) == 3
    assert background.count(action, ["old(1)\nold(2)\n"] * 3, cap=4) == 4
    idle = replace(action, rules=({**action.rules[0], "fix": "old($A)"},))
    assert background.count(idle, ["old(1)\n"]) == 0


def test_of_a_rule_that_only_the_command_line_does_no_places_are_counted() -> None:
    rewritten = {"rewrite": {"source": "$X", "rewriters": ["a"]}}
    again = {"replace": {"source": "$A", "replace": "x", "by": "y"}}
    rule = {
        "rule": {"pattern": "old($X)"}, "transform": {"A": rewritten, "B": again}, "fix": "new($B)",
        "rewriters": [{"id": "a", "rule": {"pattern": "x"}, "fix": "y"}],
    }  # fmt: skip
    assert compile_rule(rule, "python").needs_cli
    assert background.count(Action("python", (rule,)), ["old(x)\n"]) == 0
    plain = {**rule, "fix": "new($A)", "transform": {"A": rewritten}}
    assert background.count(Action("python", (plain,)), ["old(x)\n"]) == 1


def test_rows_that_are_no_edits_are_counted(tmp_path: Path) -> None:
    rows = [
        {"pre": "a\n", "post": "b\n", "language": "python"},
        {"pre": "a\n", "post": "a\n", "language": "python"},
        {"pre": "", "post": "a\n", "language": "python"},
        {"pre": 3, "post": "a"},
        {"pre": "a\n", "post": "b\n", "language": "cobol"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n", encoding="utf-8")
    stream = inputs.Stream([file])
    assert len(list(stream)) == 1
    assert stream.excluded.total() == 5
    with pytest.raises(UsageError):
        inputs.Stream([tmp_path / "absent.jsonl"])


@pytest.mark.parametrize("is_post", [True, False])
def test_a_diff_fits_the_file_before_or_after(tmp_path: Path, is_post: bool) -> None:
    old, new = "a\nb\nc\nd\n", "a\nB\nc\nd\n"
    (tmp_path / "x.py").write_text(new if is_post else old, encoding="utf-8")
    diff = "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    (change,), _ = diffs.read(diff, diffs.below(tmp_path))
    assert (change.pre, change.post) == (old, new)
    with pytest.raises(UsageError):
        diffs.read(diff.replace("-b", "-q").replace("+B", "+Q"), diffs.below(tmp_path))
    with pytest.raises(UsageError):
        diffs.read("hello", diffs.below(tmp_path))


def _rows(path: Path, n: int) -> None:
    rows = [
        {
            "id": f"e{i}", "source": "demo/repo", "language": "python", "group": f"fixer{i % 3}",
            "license": "mit", "instruction": "Use run instead of old_run",
            "pre": f"x{i} = old_run({i})\n", "post": f"x{i} = run({i})\n",
        }
        for i in range(n)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_the_command_writes_verified_records_report_and_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _rows(tmp_path / "edits.jsonl", 6)
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--export", "pack"]) == 0
    files = sorted((tmp_path / "data/processed").glob("*/mined_*.jsonl"))
    records = [record for file in files for record in store.load(file)]
    assert len(records) == 6
    for record in records:
        action = parse_action(record.metadata.action or "")
        assert isinstance(action, Action)
        assert engine.apply(action, record.pre).post == record.post
        assert "tier:train" in record.tags and record.instruction == "Use run instead of old_run"
    page = (tmp_path / "reports/mining/edits.md").read_text(encoding="utf-8")
    assert "old_run → run (python, 6 edits)" in page
    assert (tmp_path / "pack/sgconfig.yml").exists()
    assert [file.name for file in (tmp_path / "pack/rules").iterdir()] == ["mined-0001.yml"]
    assert cli.main(["mine", "edits.jsonl", "--workers", "1"]) == 2
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--export", "pack", "--resume"]) == 0


@pytest.mark.parametrize("option", ["--export", "--report"])
def test_a_result_that_could_not_be_written_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _rows(tmp_path / "edits.jsonl", 2)
    (tmp_path / "pack").write_text("mine", encoding="utf-8")
    for folder in ("pack", "pack/inside"):
        assert cli.main(["mine", "edits.jsonl", "--workers", "1", option, folder]) == 2
        assert "pack: is a file, expected a folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edits.jsonl", "pack"]


def test_edits_of_one_rule_know_each_other_within_their_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for split, n in (("train", 7), ("test", 2), ("dev", 1)):
        (tmp_path / split).mkdir()
        rows = [
            {
                "id": f"{split}{i}", "source": "demo", "language": "python", "group": f"g{split}{i}",
                "license": "mit", "pre": f"x{i} = old_run({split}{i})\n", "post": f"x{i} = run({split}{i})\n",
            }
            for i in range(n)
        ]  # fmt: skip
        jsonl.write(tmp_path / split / "edits.jsonl", rows)
    inputs_ = [f"{split}/edits.jsonl" for split in ("train", "test", "dev")]
    assert cli.main(["mine", *inputs_, "--workers", "1", "--name", "all"]) == 0
    known = {}
    for split in ("train", "test", "dev"):
        for record in store.load(tmp_path / f"data/processed/{split}/mined_demo.jsonl"):
            known[(record.metadata.provenance or {})["of"]] = record.metadata
    assert len(known) == 10
    for name, metadata in known.items():
        split = name.rstrip("0123456789")
        siblings = metadata.siblings or ()
        assert len(siblings) == {"train": 4, "test": 1, "dev": 0}[split]
        assert metadata.negatives == (tuple(one.post for one in siblings) or None)
        action = parse_action(metadata.action or "")
        assert isinstance(action, Action)
        for one in siblings:
            assert f"old_run({split}" in one.pre and f"old_run({name})" not in one.pre
            assert engine.apply(action, one.pre).post == one.post


def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path) -> None:
    _rows(tmp_path / "edits.jsonl", 60)
    command = [sys.executable, "-m", "rulewright", "mine", "edits.jsonl", "--workers", "1", "--n-known", "2"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        _rows(folder / "edits.jsonl", 60)
    subprocess.run(command, cwd=whole, check=True, capture_output=True)
    process = subprocess.Popen(command, cwd=broken, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    work = lambda: broken.glob("data/processed/.runs/*/rows.jsonl")  # noqa: E731
    wait_until(lambda: any(path.stat().st_size > 1_000 for path in work()), process)
    process.kill()
    process.wait()
    subprocess.run([*command, "--resume"], cwd=broken, check=True, capture_output=True)
    one, other = (
        [p.read_bytes() for p in sorted(folder.glob("data/processed/*/mined_*.jsonl"))]
        for folder in (whole, broken)
    )
    assert one
    assert one == other


def test_evaluation_has_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _rows(tmp_path / "edits.jsonl", 9)
    arguments = ["eval", "mining", str(tmp_path / "edits.jsonl"), "--out", str(tmp_path / "run"), "--json"]
    assert cli.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    keys = (
        "n up_to_5_rules_rate general_rate one_rule_rate compact_rule_rate metavariable_rate literal_rate "
        "loo_exact_rate loo_wrong_rate transfer_1_exact_rate transfer_1_precision "
        "transfer_k_exact_rate transfer_k_precision "
        "overmatch_rate lossy_rate cpu_s_mean"
    )
    assert set(keys.split()) <= set(result)
    assert result["n"] == 9
    assert result["one_rule_rate"] == result["transfer_1_exact_rate"] == result["transfer_k_exact_rate"] == 1
    rows = [
        json.loads(line) for line in (tmp_path / "run/rows.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(rows) == 9
    assert all("action" in row for row in rows)
    assert cli.main(arguments) == 0


def test_a_group_that_takes_too_long_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _rows(tmp_path / "edits.jsonl", 4)
    monkeypatch.setattr("rulewright.evaluation.mining.TASK_LIMIT_S", 1e-4)
    arguments = ["eval", "mining", str(tmp_path / "edits.jsonl"), "--out", str(tmp_path / "run")]
    assert cli.main([*arguments, "--workers", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    lost = list(jsonl.read(tmp_path / "run/transfer.jsonl"))
    assert lost and {row["reason"] for row in lost} == {"timeout"}
    assert result["n_transfer_failed"] == len(lost)


def test_the_miner_sees_no_other_file_if_it_is_to_see_none(tmp_path: Path) -> None:
    _rows(tmp_path / "edits.jsonl", 4)
    for number in ("0", "1"):
        arguments = ["eval", "mining", str(tmp_path / "edits.jsonl"), "--out", str(tmp_path / number)]
        assert cli.main([*arguments, "--n-known", number, "--n-background", "3"]) == 0
        known = {row["known_matches"] for row in jsonl.read(tmp_path / number / "rows.jsonl")}
        assert (known == {None}) is (number == "0")


def test_equal_edits_get_one_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"e{i:02}", "source": "demo/repo", "language": "python", "group": f"g{i}", "license": "mit",
            "instruction": "", "pre": f"go({i})\nx{i} = 1\n", "post": f"come({i})\nx{i} = 1\n",
        }
        for i in range(12)
    ]  # fmt: skip
    (tmp_path / "edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--literal-share", "1"]) == 0
    files = sorted((tmp_path / "data/processed").glob("*/mined_*.jsonl"))
    records = [record for file in files for record in store.load(file)]
    assert len(records) == 12
    assert len({(record.metadata.provenance or {})["tier"] for record in records}) == 1


@pytest.mark.parametrize("n_elsewhere", [0, 12])
def test_a_shared_rule_comes_with_its_own_figures_unless_it_matches_much_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_elsewhere: int
) -> None:
    monkeypatch.chdir(tmp_path)
    sides = [
        (f"import {kit}\nfetch_all({kit}, {i})\n", f"import {kit}\nfetch_every({kit}, n={i})\n")
        for i, kit in enumerate(("alpha", "beta"))
    ]
    others = "".join(f"fetch_all(b, {i})\n" for i in range(n_elsewhere))
    sides += [(f"go_{i}()\n{others}", f"run_{i}()\n{others}") for i in range(4)]
    rows = [
        {"id": f"e{i}", "source": "demo", "language": "python", "group": f"g{i}", "license": "mit",
         "pre": pre, "post": post}
        for i, (pre, post) in enumerate(sides)
    ]  # fmt: skip
    jsonl.write(tmp_path / "edits.jsonl", rows)
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--literal-share", "1"]) == 0
    known = {
        (record.metadata.provenance or {})["of"]: record
        for file in (tmp_path / "data/processed").glob("*/mined_*.jsonl")
        for record in store.load(file)
    }
    for name in ("e0", "e1"):
        metadata = known[name].metadata
        action, told = parse_action(metadata.action or ""), metadata.provenance or {}
        assert isinstance(action, Action)
        assert told["confidence"] == round(confidence(action.rules), 3)
        assert told["bits"] == reading.bits(action.rules[0])
        assert told["n_vars"] == len(visit.bound(action.rules[0]["rule"]))
        assert (told["support"], told["reason"] == "shared by 2 edits") == (
            (1, False) if n_elsewhere else (2, True)
        )


@pytest.mark.parametrize(("share", "kept"), [("0.25", 2), ("0", 0), ("1", 4)])
def test_literal_rules_are_at_most_a_share_of_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, kept: int
) -> None:
    monkeypatch.chdir(tmp_path)
    _rows(tmp_path / "edits.jsonl", 6)
    with (tmp_path / "edits.jsonl").open("a", encoding="utf-8") as file:
        for i in range(4):
            row = {"id": f"n{i}", "source": "demo/repo", "language": "python", "license": "mit"}
            file.write(json.dumps({**row, "pre": f"n{i} = 5{i}\n", "post": f"n{i} = 6{i}\n"}) + "\n")
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--literal-share", share]) == 0
    files = sorted((tmp_path / "data/processed").glob("*/mined_*.jsonl"))
    tiers = [(r.metadata.provenance or {})["tier"] for file in files for r in store.load(file)]
    assert (tiers.count("train"), tiers.count("literal")) == (6, kept)


def test_rows_that_are_no_edits_at_all_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for row, words in (
        ({"instruction": "x", "input": "a", "output": "b"}, "rulewright ingest jsonl"),
        ({"messages": []}, "holds chats"),
    ):
        (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
        assert cli.main(["mine", "rows.jsonl", "--workers", "1"]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["edits.jsonl", "--write"], "--write needs --from-diff"),
        (["edits.jsonl", "--save", "rule.yml"], "--save needs --from-diff"),
        (["old.py", "new.py"], "old.py: is code, not edits of code"),
    ],
)
def test_what_is_for_a_change_by_hand_is_not_ignored(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    _rows(tmp_path / "edits.jsonl", 2)
    (tmp_path / "old.py").write_text("a == None\n")
    (tmp_path / "new.py").write_text("a is None\n")
    assert cli.main(["mine", *words, "--workers", "1"]) == 2
    shown = capsys.readouterr().err
    assert said in shown and "edit --like" in shown and not (tmp_path / "data").exists()


def test_what_else_lies_in_a_folder_of_edits_does_not_bar_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = {"pre": "a == None\n", "post": "a is None\n", "language": "python"}
    for name, text in (
        ("train/ours.jsonl", json.dumps(edit) + "\n"),
        ("srl/train.jsonl", json.dumps({"task_id": "t", "pre_code": "a\n", "teacher": {}}) + "\n"),
        ("srl/dev.jsonl", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [one.pre for one in inputs.Stream([tmp_path])] == [edit["pre"]]
    said = capsys.readouterr().err
    assert "left out: " in said and "srl/dev.jsonl: the file is empty" in said and "srl/train.jsonl" in said
    with pytest.raises(UsageError, match="the file is empty"):
        inputs.Stream([tmp_path / "srl"])


def prepared(pre: str, post: str) -> PreparedExample:
    return PreparedExample(example(pre, post))


def test_what_a_pair_has_in_common_is_asked_for() -> None:
    """Each by itself opens the name and the word, or neither: only the two together tell which differs."""
    rules = mine_many([example(f"{name}(timeout, None)\n", f"{name}(timeout)\n") for name in ("one", "two")])
    assert rules[0].candidate.rule == {"rule": {"pattern": "$A(timeout, None)"}, "fix": "$A(timeout)"}


def test_a_part_that_has_other_parts_differs_as_a_whole() -> None:
    left, right = (prepared(f"old({inner})\n", f"fresh({inner})\n") for inner in ("k, a[1:2]", "m, a[1:]"))
    found = list(anti_unify(left.pools, right.pools))
    assert "old($$$A, a[$B])" in [one.rule["rule"]["pattern"] for one in found]
    assert not any("1:" in one.key for one in found)


def test_what_one_example_has_less_of_in_a_list_is_open() -> None:
    left, right = (prepared(f"old({inner})\n", f"fresh({inner})\n") for inner in ("[x], a", "[x, y], b"))
    patterns = [one.rule["rule"]["pattern"] for one in anti_unify(left.pools, right.pools)]
    assert "old($$$A)" in patterns and not any("[x]" in pattern for pattern in patterns)


def test_what_covers_most_of_an_example_comes_first() -> None:
    one = prepared("a = old(b)\nc = old(d)\ngone(e)\n", "a = fresh(b)\nc = fresh(d)\nwent(e)\n")
    done = [effect(one.pools[0].edit, candidate) for candidate in one.best]
    sizes = [len(each.hunks) for each in done if each is not None][:KEPT_PER_EXAMPLE]
    assert len(set(sizes)) == 3 and sizes == sorted(sizes, reverse=True)
