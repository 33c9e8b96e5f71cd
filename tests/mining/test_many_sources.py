"""Edits of several sources in one run: a data set each, what was dropped counted where it belongs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rulewright import cli
from rulewright.actions import Action, parse_action
from rulewright.data import store


def test_each_source_has_its_own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"e{number}", "source": f"demo/{number % 3}", "language": "javascript", "license": "mit",
            "instruction": "Use send_later instead of send_now",
            "pre": f"first(x{number})\nqueue.send_now({number}, x)\n// the lsat line {number}\n",
            "post": f"first(x{number})\nqueue.send_later({number}, x)\n"
            + (f"// the last line {number}\n" if number % 2 else f"// the lsat line {number}\n"),
        }
        for number in range(9)
    ]  # fmt: skip
    rows.append({**rows[0], "id": "deep", "pre": "f(" * 900 + ")" * 900, "post": "g()\n"})
    Path("edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--literal-share", "1"]) == 0
    for number in range(3):
        files = sorted((tmp_path / "data/processed").glob(f"*/mined_demo-{number}.jsonl"))
        records = [record for file in files for record in store.load(file)]
        assert {(record.metadata.provenance or {})["of"] for record in records} == {
            f"e{number}", f"e{number + 3}", f"e{number + 6}"
        }  # fmt: skip
        for record in records:
            steps = (record.metadata.model_extra or {}).get("states", [])
            action = parse_action(record.metadata.action or "")
            assert isinstance(action, Action) and len(steps) == len(action.rules) - 1
            assert all(step not in (record.pre, record.post) for step in steps)
    left = {path.name for path in (tmp_path / "data/processed/.runs/mine-edits").iterdir()}
    assert left == {"config.json", "run.json", "result.json"}
    summary = json.loads((tmp_path / "reports/mining/edits.json").read_text(encoding="utf-8"))
    assert summary["reasons"] == {"nested more than 300 deep": 1}


def test_literal_rules_are_a_share_of_the_records_of_their_own_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The general rules of one source make no room for the literal ones of another."""
    monkeypatch.chdir(tmp_path)
    row = {"language": "python", "license": "mit"}
    rows = [
        {**row, "id": f"g{i}", "source": "demo/general", "pre": f"if a{i} == None:\n    f({i})\n",
         "post": f"if a{i} is None:\n    f({i})\n"}
        for i in range(6)
    ]  # fmt: skip
    rows += [
        {**row, "id": f"n{i}", "source": "demo/literal", "pre": f"n{i} = 5{i}\n", "post": f"n{i} = 6{i}\n"}
        for i in range(3)
    ]
    Path("edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert cli.main(["mine", "edits.jsonl", "--workers", "1", "--literal-share", "0.25"]) == 0
    files = sorted((tmp_path / "data/processed").glob("*/mined_*.jsonl"))
    tiers = [(r.metadata.provenance or {})["tier"] for file in files for r in store.load(file)]
    assert (tiers.count("train"), tiers.count("literal")) == (6, 0)
