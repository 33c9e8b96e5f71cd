"""The report of a mining run: a page for the user, word for word, and counts for machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rulewright.mining import report
from rulewright.mining.learn.corpus import Shared


def rule(old: str, new: str) -> dict[str, Any]:
    return {"id": old, "language": "python", "rule": {"pattern": old}, "fix": new}


def result(name: str, tier: str, rules: list[dict[str, Any]], sites: int = 1, reason: str = "") -> Any:
    figures = {"sites": sites}
    return {
        "id": name, "language": "python", "tier": tier, "reason": reason, "rules": rules, "figures": figures,
    }  # fmt: skip


LONG = "".join(f"line_{n}()\n" for n in range(30))
RESULTS = [
    result("a", "train", [rule("old($A)", "new($A)")], 2),
    result("b", "train", [rule("old($A)", "new($A)"), rule("x", "y")], 3),
    result("c", "train", [rule("old($A)", "new($A)")], 2),
    result("d", "literal", [rule("1", "2")]),
    result("e", "reject", [], reason="too large"),
    result("f", "reject", [], reason="too large"),
    result("g", "reject", [], reason="no rule"),
]
SHARED = [Shared(rule("old($A)", "new($A)"), "python", "old → new", ("a", "c", "b"), ("a",))]
TEXTS = {
    "a": ("Call `new`.", "old(1)\nstay()\nstay()\n", "new(1)\nstay()\nstay()\n"),
    "b": ("", LONG, LONG.replace("line", "row")),
    "c": ("", "old(2)\n", "new(2)\n"),
}


def test_the_page(same: Callable[[str, str], None]) -> None:
    assert report.shown(RESULTS, SHARED) == {"a", "b", "c"}
    same("mining.md", report.page("demo", RESULTS, SHARED, TEXTS))


def test_the_page_of_a_run_that_found_nothing() -> None:
    page = report.page("demo", RESULTS[-1:], [], {})
    assert "1 edits: 0 train, 0 literal, 1 reject" in page and "(0 rules)" in page and "None." in page


def test_a_diff_is_cut_where_it_is_longer_than_the_limit() -> None:
    whole = report.diff("a\nb\n", "c\nd\n")
    assert report.diff("a\nb\n", "c\nd\n", limit=len(whole)) == whole
    assert report.diff("a\nb\n", "c\nd\n", len(whole) - 1) == [*whole[:-1], "… 1 more lines"]


def test_the_counts() -> None:
    counts = report.summary(RESULTS, SHARED)
    assert {key: counts[key] for key in ("edits", "found", "one_rule", "shared_rules")} == {
        "edits": 7, "found": 4, "one_rule": 3, "shared_rules": 1,
    }  # fmt: skip
    assert counts["tiers"] == {"literal": 1, "reject": 3, "train": 3}
    assert counts["reasons"] == {"too large": 2, "no rule": 1}
    assert counts["shared"][0]["support"] == 3


@pytest.mark.parametrize(("n", "last"), [(12, "+row_11()"), (13, "… 2 more lines")])
def test_a_long_diff_is_cut(n: int, last: str) -> None:
    lines = [f"line_{i}()" for i in range(n)]
    old = "\n".join(lines)
    made = report.diff(old, old.replace("line", "row"), limit=25)
    assert made[-1] == last and len(made) <= 26


def test_so_many_rules_are_shown() -> None:
    many = [result(f"r{n:02}", "train", [rule(f"old{n}($A)", "new($A)")]) for n in range(61)]
    shared = [
        Shared(rule(f"old{n}($A)", "new"), "python", f"old{n}", (f"s{n:02}", f"t{n:02}"), ())
        for n in range(61)
    ]
    ids = {one["id"] for one in many[:60]} | {name for one in shared[:60] for name in one.ids}
    assert report.shown(many, shared) == ids
    page = report.page("demo", many, shared, dict.fromkeys(ids, ("", "a\n", "b\n")))
    assert page.count("\n### ") == 120 and "r60" not in page and "### old60" not in page
