"""`bench build`: fixtures of clones as RuleBench's edits, with the pins they come from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.data.fixture_folders import repository

from rulewright import jsonl
from rulewright.cli import main


def test_bench_build_gives_rows_with_pins_that_bench_rules_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "bench"
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 0
    made = list(jsonl.read(out / "edits.jsonl"))
    assert {row["license"] for row in made} == {"mit"} and len({row["id"] for row in made}) == 6
    [pin] = json.loads((out / "pins.json").read_text())["repositories"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    assert (pin["commit"], pin["edits"], pin["noops"], pin["fixers"]) == (head.stdout.strip(), 4, 2, 2)
    assert "1 items of 1 rules" in capsys.readouterr().err
    assert (
        main(
            ["bench", "rules", "--miner", "--input", str(out / "edits.jsonl"), "--out", str(tmp_path / "run")]
        )
        == 0
    )
    [item] = jsonl.read(tmp_path / "run/items.jsonl")
    assert ["noop", "stale\n"] in item["negatives"]


@pytest.mark.parametrize("text", ["{", "[]", '{"repositories": 1}'])
def test_bench_build_names_a_file_that_holds_no_pins(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone, pins = repository(tmp_path / "fixers"), tmp_path / "pins.json"
    pins.write_text(text)
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "b"), "--pins", str(pins)]) == 1
    assert f"{pins}: " in capsys.readouterr().err


def test_bench_build_says_when_nothing_can_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = repository(tmp_path / "fixers")
    for path in clone.rglob("test_*.py"):
        if path.name != "test_one.py":
            path.unlink()
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 1
    assert "two edits of one rule" in capsys.readouterr().err


def test_bench_build_compares_with_pins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "bench"
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 0
    pins = str(out / "pins.json")
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "b"), "--pins", pins]) == 0
    assert "as pinned" in capsys.readouterr().err
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 2
    (clone / "tests/test_one.py").write_text(
        "def test_one():\n    check_transformed('y == None', 'y is None')\n"
    )
    capsys.readouterr()
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "c"), "--pins", pins]) == 1
    assert "at the pinned commit, but the rows differ" in capsys.readouterr().err
    assert not (tmp_path / "c/edits.jsonl").exists()


def test_bench_build_refuses_what_it_may_not_or_cannot_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = repository(tmp_path / "fixers")
    (clone / "LICENSE").write_text("GNU General Public License\n")
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "Change the license"],
        cwd=clone, check=True,
    )  # fmt: skip
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 2
    assert "license 6" in capsys.readouterr().err
    allowed = ["--allow-licenses", "gpl"]
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench"), *allowed]) == 0
    assert main(["bench", "build", str(clone), "--layouts", "goldn", "--out", str(tmp_path / "x")]) == 2
    assert main(["bench", "build", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")]) == 2
