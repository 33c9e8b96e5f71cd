"""The properties of similarity on real rules: the cases of the miner, and the published catalog."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rulewright import jsonl
from rulewright.actions import Action, Rejection, parse_action, render_action
from rulewright.srl.similarity import similarity


@pytest.fixture(scope="module", params=["cases", "published"])
def actions(request: pytest.FixtureRequest, root: Path) -> list[Action]:
    """Rules of nine languages that this repository holds, or the catalog beside it."""
    if request.param == "cases":
        found = list(_cases(root / "tests/mining/cases"))
    else:
        shared: Path = request.getfixturevalue("shared")
        found = list(_actions(shared / "data" / "astgrep_catalog.jsonl"))
    assert len(found) >= 50
    return found


def _cases(folder: Path) -> Iterator[Action]:
    for path in sorted(folder.rglob("rule.yml")):
        made = parse_action(path.read_text("utf-8").rpartition("\n---\n")[0] + "\n")
        assert isinstance(made, Action), path
        yield made


def _actions(path: Path) -> Iterator[Action]:
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    for row in jsonl.read(path):
        text = row.get("rule_yaml") or row.get("rule") or row.get("yaml")
        made = parse_action(text) if isinstance(text, str) else None
        if isinstance(made, Action):
            yield made


def test_identity_symmetry_and_bounds(actions: list[Action]) -> None:
    for one, other in pairwise(actions):
        assert similarity(one, one) == (1.0, 1.0, 1.0)
        found = similarity(one, other)
        assert found == pytest.approx(similarity(other, one), abs=1e-9)
        assert all(0.0 <= value <= 1.0 for value in found)


def test_every_form_of_a_rule_is_the_same(actions: list[Action]) -> None:
    for action in actions:
        for mode in ("yaml", "rule"):
            again = parse_action(render_action(action, mode))
            assert not isinstance(again, Rejection)
            assert similarity(action, again).r == 1.0


def test_damage_lowers(actions: list[Action]) -> None:
    for action in actions:
        extra = Action(action.language, (*action.rules, {"rule": {"pattern": "zz"}, "fix": "z"}))
        assert similarity(action, extra).r < 1.0
        other = Action("rust" if action.language != "rust" else "go", action.rules)
        assert similarity(action, other).r < 1.0
        if any("fix" in rule for rule in action.rules):
            bare = [{k: v for k, v in rule.items() if k != "fix"} for rule in action.rules]
            assert similarity(action, Action(action.language, tuple(bare))).r < 1.0


def test_unrelated_rules_are_mostly_far(actions: list[Action]) -> None:
    found = sorted(similarity(one, other).r for one, other in pairwise(actions))
    assert found[len(found) // 2] < 0.5
