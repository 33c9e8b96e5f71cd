"""Edits as files: what the miner makes of `before` and `after`, and what its rule must leave alone.

A new case is a folder `cases/SHAPE/NAME/` with three files and no code: `before.EXT`, `after.EXT` and
`rule.yml`, which holds the rules in order and, as its last document, code under `valid` in which
they find nothing (ast-grep's word for it).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright import engine, yaml12
from rulewright.actions import Action, Rejection, parse_action
from rulewright.actions.codec import render_rules
from rulewright.languages import language_of_path
from rulewright.mining import mine

CASES = sorted(path.parent for path in (Path(__file__).parent / "cases").rglob("rule.yml"))


def case(folder: Path) -> tuple[str, str, str, list[str]]:
    """Before, after, the rules and the code that they must leave alone."""
    before, after = (next(folder.glob(f"{name}.*")).read_text("utf-8") for name in ("before", "after"))
    rules, _, valid = (folder / "rule.yml").read_text("utf-8").rpartition("\n---\n")
    return before, after, rules + "\n", list(yaml12.load(valid)["valid"])


def test_there_are_enough_cases_and_the_shapes_are_all_there() -> None:
    assert len(CASES) >= 150
    shapes = {folder.parent.name for folder in CASES}
    assert shapes >= {"delete", "lexical", "pattern", "run", "several", "transform"}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_rule_of_an_edit(folder: Path) -> None:
    before, after, rules, valid = case(folder)
    language = language_of_path(next(folder.glob("before.*")))
    mined = mine(before, after, language)
    assert mined.action is not None, mined.reason
    assert render_rules(mined.action).rstrip() == rules.rstrip()
    assert (mined.shapes[0] if len(mined.shapes) == 1 else "several") == folder.parent.name
    given = parse_action(rules, language)
    assert not isinstance(given, Rejection), given.detail
    assert engine.apply(given, before).post == after
    for code in valid:
        assert _left_alone(given, code), f"changes\n{code}"


def _left_alone(action: Action, code: str) -> bool:
    return engine.apply(action, code).post in (None, code)
