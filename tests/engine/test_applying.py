"""What one rule writes: overlaps, expansions, rewriters, and the bound on growth."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import apply
from rulewright.engine.applier import GROWTH, MIN_CAP_CHARS
from rulewright.languages import Language
from rulewright.verdict import Outcome, Verdict


def run(code: str, rule: dict[str, Any], fix: Any, language: Language = "python", **more: Any) -> Outcome:
    return apply(Action(language, ({"rule": rule, "fix": fix, **more},)), code)


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("f(f(1))\n", "g(f(1))\n"),
        ("f(1);f(2)\n", "g(1);g(2)\n"),
        ("h(f(f(1)), f(2))\nf(3)\n", "h(g(f(1)), g(2))\ng(3)\n"),
    ],
)
def test_of_nested_matches_the_outer_one_is_replaced(code: str, after: str) -> None:
    assert run(code, {"pattern": "f($A)"}, "g($A)").post == after


COMMA = {"regex": "^,$"}


@pytest.mark.parametrize(
    ("code", "expand", "after"),
    [
        ("f(a, old, b)\n", {"expandEnd": COMMA}, "f(a,  b)\n"),
        ("f(a, old)\n", {"expandEnd": COMMA}, "f(a, )\n"),
        ("f(a, old)\n", {"expandStart": COMMA}, "f(a)\n"),
        ("f(old, b)\n", {"expandStart": COMMA}, "f(, b)\n"),
        ("f(a, old, b, c)\n", {"expandEnd": {"regex": "^c$"}}, "f(a, , b, c)\n"),
        ("f(a, old, b, c)\n", {"expandEnd": {"regex": "^c$", "stopBy": "end"}}, "f(a, )\n"),
        ("f(a, old, b, c)\n", {"expandEnd": {"regex": "^c$", "stopBy": {"regex": "^b$"}}}, "f(a, , b, c)\n"),
        ("f(a, old, b, c)\n", {"expandEnd": {"regex": "^b$", "stopBy": {"regex": "^b$"}}}, "f(a, , c)\n"),
        ("f(a, b, old)\n", {"expandStart": {"regex": "^a$", "stopBy": "end"}}, "f()\n"),
        ("f(a, old, b)\n", {"expandStart": COMMA, "expandEnd": COMMA}, "f(a b)\n"),
    ],
)
def test_a_fix_reaches_over_siblings(code: str, expand: dict[str, Any], after: str) -> None:
    outcome = run(code, {"kind": "identifier", "regex": "^old$"}, {"template": "", **expand})
    assert outcome.post == after, outcome


def test_ranges_that_touch_are_both_replaced_and_ranges_that_overlap_are_not() -> None:
    rule = {"kind": "identifier", "regex": "^(old|odd)$"}
    assert run("f(old, odd, b)\n", rule, {"template": "", "expandEnd": COMMA}).post == "f(  b)\n"
    assert run("f(a, old, odd)\n", rule, {"template": "", "expandStart": COMMA}).post == "f(a)\n"
    both = {"template": "", "expandStart": COMMA, "expandEnd": COMMA}
    assert run("f(a, old, odd)\n", rule, both).post == "f(a odd)\n"


def rewrite(source: str, rewriters: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    names = [one["id"] for one in rewriters]
    return {
        "rewriters": rewriters,
        "transform": {"NEW": {"rewrite": {"source": source, "rewriters": names, **more}}},
    }


NAME = {"id": "name", "rule": {"kind": "identifier", "pattern": "$N"}, "fix": "<$N>"}
CALL = {"id": "call", "rule": {"pattern": "g($X)"}, "fix": "G[$X]"}


@pytest.mark.parametrize(
    ("code", "rewriters", "more", "after"),
    [
        ("f(a, 1, b)\n", [NAME], {}, "<a>, 1, <b>\n"),
        ("f(a, 1, b)\n", [NAME], {"joinBy": " + "}, "<a> + <b>\n"),
        ("f(a, g(b))\n", [NAME, CALL], {}, "<a>, G[b]\n"),
        ("f(a, g(b))\n", [CALL, NAME], {"joinBy": "; "}, "<a>; G[b]\n"),
        ("f(x,y)\n", [NAME, {"id": "comma", "rule": COMMA, "fix": ";"}], {}, "<x>;<y>\n"),
        ("f(1)\n", [NAME], {}, "1\n"),
        ("if a:\n    f(g(\n        b))\n", [NAME], {}, "if a:\n    <g>(\n        <b>)\n"),
        ("f(1)\n", [NAME], {"joinBy": "; "}, "\n"),
        ("f()\n", [NAME], {"joinBy": "; "}, "\n"),
        ("f(a)\n", [NAME, {**NAME, "id": "second", "fix": "!$N"}], {}, "<a>\n"),
        ("f(a)\n", [{**NAME, "id": "second", "fix": "!$N"}, NAME], {}, "!a\n"),
    ],
)
def test_rewriters_write_outer_before_inner_and_the_first_that_matches(
    code: str, rewriters: list[dict[str, Any]], more: dict[str, str], after: str
) -> None:
    outcome = run(code, {"pattern": "f($$$A)"}, "$NEW", **rewrite("$$$A", rewriters, **more))
    assert outcome.post == after, outcome


@pytest.mark.parametrize(
    ("expand", "after"),
    [
        ({"expandEnd": COMMA}, "z z\n"),
        ({"expandStart": COMMA}, "zz\n"),
        ({"expandEnd": {"regex": "^\\)$"}}, None),
        ({"expandStart": {"regex": "^\\($"}}, None),
    ],
)
def test_a_rewriter_may_reach_over_siblings_in_the_capture_and_out_of_it_as_ast_grep_does(
    expand: dict[str, Any], after: str | None
) -> None:
    """Out of it, ast-grep panics."""
    one = {"id": "name", "rule": {"kind": "identifier"}, "fix": {"template": "z", **expand}}
    outcome = run("f(x, y)\n", {"pattern": "f($$$A)"}, "$NEW", **rewrite("$$$A", [one]))
    assert outcome.post == after and (outcome.verdict is Verdict.CRASHED) == (after is None)


def test_an_unset_variable_is_written_as_nothing() -> None:
    either = {"any": [{"pattern": "f($A)"}, {"pattern": "g($B, $$$C)"}]}
    assert run("f(1)\ng(3, 4)\n", either, "h($A|$B|$$$C)").post == "h(1||)\nh(|3|4)\n"


def test_a_message_names_the_document_where_there_are_several() -> None:
    good, bad = {"rule": {"pattern": "f($A)"}, "fix": "g($A)"}, {"rule": {"kind": "no_kind"}, "fix": ""}
    alone, second = apply(Action("python", (bad,)), "f(1)\n"), apply(Action("python", (good, bad)), "f(1)\n")
    assert alone.verdict == second.verdict == Verdict.BAD_RULE
    assert second.detail == f"document 2: {alone.detail}"


def test_of_several_fixes_the_first_is_applied() -> None:
    fixes = [{"title": "one", "template": "g($A)"}, {"title": "two", "template": "h($A)"}]
    assert run("f(1)\n", {"pattern": "f($A)"}, fixes).post == "g(1)\n"


def test_growth_is_bounded_by_the_larger_of_two_limits() -> None:
    half = "x" * (MIN_CAP_CHARS // 2)
    assert run("f()\nf()\n", {"pattern": "f()"}, half).verdict is Verdict.OK
    over = run("f()\nf()\n", {"pattern": "f()"}, half + "x")
    assert over.verdict is Verdict.BAD_ACTION and f"{MIN_CAP_CHARS:,}" in over.detail
    code = "f()\n" + "# " + "y" * (MIN_CAP_CHARS // GROWTH) + "\n"
    assert run(code, {"pattern": "f()"}, "x" * (GROWTH * len(code))).verdict is not Verdict.BAD_ACTION
    assert run(code, {"pattern": "f()"}, "x" * (GROWTH * len(code) + 1)).verdict is Verdict.BAD_ACTION


@pytest.mark.parametrize(
    ("code", "fix", "touched"),
    [
        ("foo(1)\n", "bar(1)", 3), ("foo(1)\n", "foo(1, 2)", 3), ("foo(1, 2)\n", "foo(1)", 3),
        ("foo(1)\n", "foo(1)", 0), ("foo('é')\n", "foo('ü')", 2), ("foo(aa)\n", "foo(a)", 1),
        ("foo(a)\n", "foo(aa)", 1), ("foo()\n", "", 5),
    ],
)  # fmt: skip
def test_bytes_that_a_rule_touches(code: str, fix: str, touched: int) -> None:
    assert run(code, {"pattern": code.strip()}, fix).bytes_touched == touched
