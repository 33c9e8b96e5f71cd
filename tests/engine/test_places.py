"""Places of an action: their lines in the text as it was, however many rules have changed it since."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import places
from rulewright.languages import Language

LONGER: dict[str, Any] = {"rule": {"pattern": "long($A)"}, "fix": "one($A)\ntwo($A)\nthree($A)"}
SHORTER: dict[str, Any] = {"rule": {"pattern": "short($A, $B)"}, "fix": "short($A)"}
RENAMED: dict[str, Any] = {"rule": {"pattern": "old($A)"}, "fix": "new($A)"}


def lines(code: str, *rules: dict[str, Any], language: Language = "python") -> list[tuple[int, int, int]]:
    return [(p.rule, p.line, p.last_line) for p in places.of(Action(language, rules), code)]


def test_a_place_has_the_lines_that_it_takes() -> None:
    assert lines("old(1)\nold(2)\n", RENAMED) == [(0, 1, 1), (0, 2, 2)]
    assert lines("a = old(\n    1)\nold(2)\n", RENAMED) == [(0, 1, 2), (0, 3, 3)]


@pytest.mark.parametrize(
    ("code", "first", "line"),
    [
        ("old(0)\nlong(1)\n", LONGER, 1),
        ("long(1)\nold(2)\n", LONGER, 2),
        ("long(1)\nx = 1\nlong(2)\nold(3)\n", LONGER, 4),
        ("short(1,\n    2)\nold(3)\n", SHORTER, 3),
        ("short(1,\n    2)\nlong(3)\nold(4)\n", SHORTER, 4),
    ],
)
def test_a_later_rule_counts_lines_as_they_were(code: str, first: dict[str, Any], line: int) -> None:
    assert (1, line, line) in lines(code, first, RENAMED)


def test_what_an_earlier_rule_wrote_stands_where_that_did_its_work() -> None:
    wrote = {"rule": {"pattern": "long($A)"}, "fix": "one($A)\nold($A)"}
    assert lines("x = 1\nlong(2)\n", wrote, RENAMED) == [(0, 2, 2), (1, 2, 2)]
