"""One line of many matches: its length does not count once a match."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from rulewright.actions.action import Action
from rulewright.engine import places
from rulewright.engine.judge import judge
from rulewright.engine.parsing import parse, span

RENAME = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "new($A)"},), mode="rule")
SWAP = Action("python", ({"rule": {"pattern": "old($A, $$$B)"}, "fix": "new($$$B, $A)"},), mode="rule")


def calls(of: Callable[[], object]) -> Counter[str]:
    """How often each method of the binding is called."""
    counts: Counter[str] = Counter()

    def note(frame: FrameType, event: str, what: Any) -> None:
        if event == "c_call" and type(getattr(what, "__self__", None)).__name__ == "SgNode":
            counts[what.__name__] += 1

    sys.setprofile(note)
    try:
        of()
    finally:
        sys.setprofile(None)
    return counts


@pytest.mark.parametrize("action", [RENAME, SWAP], ids=["one argument", "several"])
@pytest.mark.parametrize("remark", ["", "  # ast-grep-ignore: other"], ids=["bare", "suppressed for another"])
def test_no_column_is_counted_at_a_match(action: Action, remark: str) -> None:
    """Asked for its columns, ast-grep walks a line from its start, for each match of it again."""

    def on(n: int) -> Counter[str]:
        line = "x = [" + ", ".join(f"old({i}, y)" for i in range(n)) + "]"
        text = f"f(){remark}\n{line.replace(', y', '') if action is RENAME else line}\n"
        return calls(lambda: (judge(action, text), places.of(action, text)))

    few, many = on(20), on(80)
    assert many["range"] == few["range"]
    assert sum(many.values()) <= 4 * sum(few.values())


def test_a_span_counts_characters() -> None:
    root = parse("é = old('日本𝒳')\n  \nold(2)\n", "python").root
    for node in root.find_all(kind="call"):
        around = node.range()
        assert span(node) == (around.start.index, around.end.index)
