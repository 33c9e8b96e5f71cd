"""`rulewright synth` end to end on real code: verified, split, repeatable, resumable."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.launching import as_a_person
from tests.waiting import wait_until

from rulewright import jsonl
from rulewright.actions import parse_action
from rulewright.actions.action import Action
from rulewright.data import store
from rulewright.data.splits import split_of
from rulewright.engine import judge
from rulewright.engine.parsing import parse
from rulewright.errors import UsageError
from rulewright.synth import collect, make, shards, siblings, sources, templates
from rulewright.synth.collect import ShardRow
from rulewright.synth.kinds import HOLD_OUT_RATE
from rulewright.synth.speech import Speech
from rulewright.verdict import Verdict

# Real files of the standard library, under names whose groups fall into all three splits.
REAL = {
    "train": ("json/decoder.py", "textwrap.py", "json/encoder.py", "shlex.py"),
    "dev": ("cmd.py",),
    "test": ("sched.py", "bisect.py"),
}


def copy_sources(folder: Path) -> Path:
    """Copy the files; each gets the first name `m<i>` whose group hashes to its split."""
    folder.mkdir()
    names = [f"m{i}" for i in range(400)]
    for split, files in REAL.items():
        fitting = [name for name in names if split_of(f"src/{name}") == split]
        for file, name in zip(files, fitting, strict=False):
            (folder / f"{name}.py").write_bytes((sources.standard_library() / file).read_bytes())
    return folder


def arguments(out: Path, *extra: str) -> list[str]:
    folder = out / "src"
    if not folder.exists():
        copy_sources(folder)
    return [
        "synth", "--source-dir", str(folder), "--languages", "python", "--out", str(out / "data"),
        "--negatives", str(out / "negatives.jsonl"), "--window", "statement", "function",
        "--max-tokens", "700", "--max-chars", "2400", "--max-template-share", "1",
        *(() if "--per-file-cap" in extra else ("--per-file-cap", "0")), *extra,
    ]  # fmt: skip


def synth(out: Path, *extra: str) -> None:
    from rulewright.cli import main

    assert main(arguments(out, "--workers", "1", *extra)) == 0


def files_of(out: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*.jsonl"))}
    return found | {"diversity": (out / "data" / "synth.diversity.json").read_bytes()}


def rows(out: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for split in ("train", "dev", "test"):
        path = store.split_path(out / "data", split, "synth")
        if path.exists():
            found += [(split, row) for row in jsonl.read(path)]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth")
    synth(out, "--limit", "900")
    return out


def test_every_record_is_verified_and_complete(made: Path) -> None:
    found = rows(made)
    assert len(found) == 900
    for split, row in found:
        action = parse_action(row["metadata"]["action"])
        assert isinstance(action, Action)
        outcome = judge(action, row["pre"], row["post"])
        assert outcome.ok, (row["metadata"]["provenance"], outcome.detail)
        assert not parse(row["pre"], "python").broken and not parse(row["post"], "python").broken
        assert split_of(row["metadata"]["group"]) == split
    assert store.read_metadata(made / "data", "synth") is not None
    shapes = Counter(row["metadata"]["provenance"]["shape"] for _, row in found)
    assert shapes["single"] and shapes["multi"] and shapes["scoped"]
    assert {row["language"] for _, row in found} == {"python"}


def test_the_rule_of_a_record_is_right_on_its_siblings(made: Path) -> None:
    found = rows(made)
    texts = {split: {text for s, row in found if s == split for text in (row["pre"], row["post"])}
             for split in ("train", "dev", "test")}  # fmt: skip
    n = Counter[str]()
    for split, row in found:
        action = parse_action(row["metadata"]["action"])
        assert isinstance(action, Action)
        siblings = row["metadata"].get("siblings", [])
        negatives = row["metadata"].get("negatives", [])
        assert len(siblings) <= 2 and len(negatives) <= 2
        for sibling in siblings:
            assert sibling["pre"] not in (row["pre"], sibling["post"])
            assert judge(action, sibling["pre"], sibling["post"]).verdict is Verdict.OK
            of_others = sibling["pre"] in texts[split]
            n["window" if of_others else "renamed"] += 1
            assert not any(sibling["pre"] in texts[other] for other in texts if other != split and of_others)
        assert all(judge(action, text).verdict is Verdict.NO_MATCH for text in negatives)
        n["negative"] += len(negatives)
        n["known"] += bool(siblings)
    assert n["window"] > 50 and n["renamed"] > 400 and n["negative"] > 50
    assert n["known"] > 0.9 * len(found)


def test_a_literal_rule_fails_on_the_copy_with_other_names() -> None:
    text, wanted = "if count == None:\n    run(count, limit)\n", "if count is None:\n    run(count, limit)\n"
    general = Action("python", ({"rule": {"pattern": "$X == None"}, "fix": "$X is None"},))
    literal = Action("python", ({"rule": {"pattern": "count == None"}, "fix": "count is None"},))
    copy = siblings.renamed(general, text, wanted, ["total", "other"], random.Random(0))
    assert copy is not None
    assert {"total", "other"} <= set(re.findall(r"\w+", copy.pre)) and "count" not in copy.pre
    assert judge(general, copy.pre, copy.post).ok and judge(literal, copy.pre).verdict is Verdict.NO_MATCH
    kept = siblings.renamed(literal, text, wanted, ["total"], random.Random(0))
    assert kept is not None and "count == None" in kept.pre and "limit" not in kept.pre
    assert siblings.renamed(general, "a == None\n", "a is None\n", [], random.Random(0)) is None


def test_one_question_about_one_file_is_asked_so_often(tmp_path: Path) -> None:
    """Forty windows of one file that ask the same must not decide the figure of a family."""
    counts = {}
    for cap in ("0", "3"):
        out = tmp_path / cap
        (out / "src").mkdir(parents=True)
        for name in ("one", "two"):
            pieces = [f"def f{i}(v{i}):\n    return v{i} is None\n" for i in range(40)]
            (out / "src" / f"{name}.py").write_text("\n\n".join(pieces))
        synth(out, "--per-file-cap", cap, "--no-hold-out-templates", "--siblings", "0")
        asked = Counter[tuple[str, str]]()
        for _, row in rows(out):
            assert "siblings" not in row["metadata"]
            path = row["metadata"]["path"]
            asked.update((name, path) for name in row["metadata"]["provenance"]["templates"])
        counts[cap] = asked
    questions = {key for key in counts["0"] if key[0] == "python/is-none"}
    assert len(questions) == 2 and min(counts["0"][key] for key in questions) > 10
    assert max(counts["3"].values()) == 3 and all(counts["3"][key] == 3 for key in questions)


def test_no_code_stands_in_two_splits(made: Path) -> None:
    by_split: dict[str, set[str]] = {}
    for split, row in rows(made):
        by_split.setdefault(split, set()).add("".join(row["post"].split()))
    rest = set().union(*(codes for split, codes in by_split.items() if split != "train"))
    assert by_split["train"].isdisjoint(rest)


def test_held_out_templates_are_only_in_their_split(made: Path) -> None:
    for split, row in rows(made):
        for name in row["metadata"]["provenance"]["templates"]:
            assert shards.held_out(name, HOLD_OUT_RATE) in (None, split)
    names = [template.name for template in templates.packaged()]
    held = [name for name in names if shards.held_out(name, HOLD_OUT_RATE)]
    assert 0.03 < len(held) / len(names) < 0.25


def test_a_higher_rate_holds_out_more_and_moves_nothing_between_test_and_train() -> None:
    names = [template.name for template in templates.packaged()]
    few, many = ({name: shards.held_out(name, rate) for name in names} for rate in (0.1, 0.3))
    assert not any(shards.held_out(name, 0.0) for name in names)
    assert all(many[name] == "test" for name in names if few[name] == "test")
    assert all(many[name] for name in names if few[name])
    assert 0.2 < sum(map(bool, many.values())) / len(names) < 0.4
    kept = {name: split for name, split in many.items() if split}
    groups = {name: shards.held_group(name, split) for name, split in kept.items()}
    assert all(split_of(groups[name]) == split for name, split in kept.items())
    assert len(set(groups.values())) == len(kept)
    assert all(groups[name] == f"template:{name}" for name, split in few.items() if split == "test")


def test_negatives_have_nothing_to_do(made: Path) -> None:
    found = list(jsonl.read(made / "negatives.jsonl"))
    assert len(found) > 5
    for row in found[:100]:
        assert row["pre"] == row["post"] and "negative" in row["tags"]
        action = parse_action(row["metadata"]["action"])
        assert isinstance(action, Action) and judge(action, row["pre"]).verdict is Verdict.NO_MATCH


def test_the_report_adds_up(made: Path) -> None:
    told = json.loads((made / "data" / "synth.diversity.json").read_text())
    assert told["num_records"] == told["diversity"]["n"] == sum(told["splits"].values()) == 900
    for by in ("language", "shape", "window", "sites"):
        assert sum(told["diversity"][by].values()) == 900


def test_a_finished_set_is_not_overwritten_by_accident(made: Path) -> None:
    from rulewright.cli import main

    assert main(arguments(made, "--workers", "1", "--limit", "900")) == 2
    assert main(arguments(made, "--workers", "1", "--limit", "900", "--resume")) == 0
    assert main(arguments(made, "--workers", "1", "--limit", "400", "--resume")) == 2


def test_same_bytes_again_and_after_a_kill(made: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rulewright", *arguments(tmp_path, "--limit", "900", "--workers", "2")]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, start_new_session=True)
    wait_until(lambda: list(tmp_path.rglob("0*.jsonl")), run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    synth(tmp_path, "--limit", "900")
    assert files_of(tmp_path) == files_of(made)
    left = {path.name for path in next(tmp_path.rglob(".runs/synth")).iterdir()}
    assert left == {"config.json", "run.json", "result.json"}


def test_a_small_limit_ends_after_a_few_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    waves: list[int] = []
    make_all = shards.make_all

    def counted(*given: Any) -> list[Path]:
        paths = make_all(*given)
        waves.append(len(paths))
        return paths

    monkeypatch.setattr(shards, "make_all", counted)
    synth(tmp_path, "--limit", "4", "--max-template-share", "0.015")
    assert len(rows(tmp_path)) == 4
    assert waves[0] < sum(map(len, REAL.values()))


def test_a_persons_own_templates_alone(tmp_path: Path) -> None:
    row = {
        "name": "mine/isinstance",
        "language": "python",
        "forward": {"rule": {"pattern": "is_a($X, $T)"}, "fix": "isinstance($X, $T)"},
        "inverse": {"rule": {"pattern": "isinstance($X, $T)"}, "fix": "is_a($X, $T)"},
        "reason": "",
        "paraphrases": ["Use the built-in `isinstance`."],
    }
    jsonl.write(tmp_path / "mine.jsonl", [row])
    synth(tmp_path, "--templates", str(tmp_path / "mine.jsonl"), "--no-packaged", "--shapes", "single")
    found = rows(tmp_path)
    assert len(found) > 10
    assert {row["metadata"]["provenance"]["templates"][0] for _, row in found} == {"mine/isinstance"}
    assert not (tmp_path / "negatives.jsonl").exists()


def test_what_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    body = "    value = cache.get(key)\n    if value is None:\n        return 1\n    return value\n"
    for name in ("open/a.py", "open/b.py", "shut/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"def pick(cache, key):\n{body}")
    (tmp_path / "open/b.py").chmod(0)
    (tmp_path / "shut").chmod(0)
    words = ["--source-dir", str(tmp_path), "--languages", "python", "--workers", "1", "--limit", "5"]
    places = ["--out", str(tmp_path / "data"), "--negatives", str(tmp_path / "negatives.jsonl")]
    done = as_a_person("synth", *words, *places, "--json")
    (tmp_path / "shut").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert f"left out: {tmp_path / 'shut'}: Permission denied" in done.stderr
    assert json.loads(done.stdout)["refused_while_making"]["file: unreadable"] == 1


def test_no_source_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from rulewright.cli import main

    (tmp_path / "empty").mkdir()
    code = main(["synth", "--source-dir", str(tmp_path / "empty"), "--out", str(tmp_path / "d")])
    assert code == 2 and "no source file" in capsys.readouterr().err


def test_a_language_of_rules_that_has_no_templates_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rulewright.cli import main

    (tmp_path / "a.rs").write_text("fn f() -> u8 {\n    1\n}\n")
    words = ["synth", "--languages", "python", "rust", "--source-dir", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "d")]) == 2
    said = capsys.readouterr().err
    assert "does not support rust" in said and "python, javascript" in said and not (tmp_path / "d").exists()


# The choice of what stays


def candidate(number: int, template: str, split: str = "train", edit: int = -1, code: int = -1) -> ShardRow:
    return ShardRow(
        0, number, f"id{number}", split, (template,), "single",
        str(edit if edit >= 0 else number).encode(), str(code if code >= 0 else number).encode(),
    )  # fmt: skip


def test_the_share_holds_for_every_template() -> None:
    rng = random.Random(1)
    names = [f"t{i}" for i in range(100)]
    weights = [1 / (i + 1) for i in range(100)]
    found = [candidate(i, rng.choices(names, weights)[0]) for i in range(20_000)]
    choice = collect.choose(found, 0.015, 2)
    kept = [c for c in found if (c.shard, c.line) in choice.kept]
    counts = Counter(c.names[0] for c in kept)
    assert max(counts.values()) <= 0.015 * len(kept) and len(kept) > 3_000
    assert len(kept) + sum(choice.dropped.values()) == len(found)


def test_a_share_that_cannot_hold_is_said() -> None:
    choice = collect.choose([candidate(i, f"t{i % 9}") for i in range(2_000)], 0.015, 2)
    assert len(choice.kept) == 2_000 and "needs at least 67 templates" in choice.cap_reason


def test_repeats_and_leaks_are_dropped_and_counted() -> None:
    found = [
        candidate(1, "a"),
        candidate(1, "a"),
        candidate(2, "a", edit=5),
        candidate(3, "a", edit=5),
        candidate(4, "a", edit=5),
        candidate(5, "a", split="test", code=1),
        candidate(6, "a", split="test"),
    ]
    choice = collect.choose(found, 1, 2)
    assert {line for _, line in choice.kept} == {1, 2, 3, 6}
    assert choice.dropped == {"duplicate": 1, "same edit in other words": 1, "code occurs in train": 1}


def test_scope_limits_the_rule_to_a_function() -> None:
    chosen = [t for t in templates.packaged() if t.name == "python/is-none"]
    code = "def f(x):\n    return x is None\n\n\ndef g(x):\n    return x is None\n"
    maker = make.Maker("python", chosen, (), ("scoped",), Speech("plain", 1))
    scoped = []
    for seed in range(8):
        edits = maker.edits(code, (), random.Random(seed), lambda name: True)
        scoped += [edit for edit in edits if edit.shape == "scoped"]
    assert {(edit.pre.count("=="), edit.post.count("==")) for edit in scoped} == {(2, 1)}
    assert any("`f`" in edit.instruction for edit in scoped)


def test_a_scope_may_have_a_name_with_a_dollar() -> None:
    chosen = [t for t in templates.packaged() if t.name == "javascript/strict-equal"]
    code = "function $f(x) {\n  return x === a;\n}\n\nfunction g(x) {\n  return x === b;\n}\n"
    maker = make.Maker("javascript", chosen, (), ("scoped",), Speech("plain", 1))
    edits = [
        edit for seed in range(8) for edit in maker.edits(code, (), random.Random(seed), lambda name: True)
    ]
    assert {word for edit in edits for word in ("`$f`", "`g`") if word in edit.instruction} == {"`$f`", "`g`"}


def test_several_rules_are_undone_in_the_right_order() -> None:
    chosen = [t for t in templates.packaged() if t.name in ("python/is-none", "python/add-in-place")]
    maker = make.Maker("python", chosen, (), ("multi",), Speech("plain", 1))
    code = "if a is None:\n    b += 1\n"
    edits = list(maker.edits(code, (), random.Random(0), lambda name: True))
    (multi,) = [edit for edit in edits if edit.shape == "multi"]
    assert len(multi.action.rules) == 2 and multi.pre == "if a == None:\n    b = b + 1\n"


def test_templates_that_are_faulty_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match=r"t\.jsonl:1: missing name"):
        templates.load(tmp_path / "t.jsonl")
