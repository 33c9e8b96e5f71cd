"""Why nothing matched: which part is told, which node is nearest, and where the telling ends."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import no_match


def why(rule: dict[str, Any], code: str, *more: dict[str, Any], **fields: Any) -> str:
    return no_match.explain(Action("python", ({"rule": rule, "fix": "x", **fields}, *more)), code)


@pytest.mark.parametrize(
    ("rule", "code", "says"),
    [
        ({"pattern": "f($A)"}, "f(1)\n", ""),
        ({"kind": "call", "regex": "^g"}, "f(1)\nf(2)\n", "`kind` matches 2 times, but `regex` leaves none"),
        ({"kind": "call", "pattern": "g($A)"}, "f(1)\n",
         "the pattern `g($A)` matches none of the 1 `call` nodes; the nearest, at line 1, is `f(1)`"),
        ({"kind": "call", "regex": "^f", "not": {"pattern": "f(1)"}}, "f(1)\n",
         "`kind` and `regex` match once, but `not` leaves none"),
        ({"kind": "cal"}, "f(1)\n", "kind `cal` does not exist"),
        ({"kind": "lambda"}, "f(lambd)\n", "the code has no node of kind `lambda`"),
        ({"kind": "list"}, "f(a, *b)\n", "(it has `list_splat`)"),
        ({"kind": "call", "has": {"kind": "integer"}}, "f(1)\n",
         "`kind` matches once, but `has` leaves none; with `stopBy: end` in it there would be 1"),
        ({"kind": "call", "has": {"kind": "string", "stopBy": "end"}}, "f(1)\n",
         "`kind` matches once, but `has` leaves none"),
        ({"pattern": "f($a)"}, "f(1)\n", "; the pattern has a variable in lower case"),
        ({"kind": "call", "all": [{"regex": "^f"}, {"regex": "2"}]}, "f(1)\n",
         "`kind` and `regex` match once, but `regex` leaves none"),
    ],
)  # fmt: skip
def test_the_first_part_that_leaves_no_node_is_told(rule: dict[str, Any], code: str, says: str) -> None:
    said = why(rule, code)
    assert says in said if says else said == "", said


def test_alternatives_are_told_up_to_three_and_down_to_three_levels() -> None:
    def either(n: int) -> dict[str, Any]:
        return {"any": [{"pattern": f"g{i}($A)"} for i in range(n)]}

    three, four = why(either(3), "f(1)\n"), why(either(4), "f(1)\n")
    assert "g2($A)" in three and "more" not in three
    assert "g2($A)" in four and "g3($A)" not in four and four.endswith("; and 1 more")
    deep: dict[str, Any] = {"pattern": "deep($A)"}
    for _ in range(3):
        deep = {"any": [deep]}
    assert "deep($A)" in why(deep, "f(1)\n")
    assert "deep($A)" not in why({"any": [deep]}, "f(1)\n")


def test_the_nearest_is_looked_for_among_the_first_400() -> None:
    near = "fooo(12345)\n"
    for n, line in ((399, 400), (400, 1)):
        assert f"at line {line}, is" in why({"pattern": "foo(12345)"}, "z\nz()\n"[2:] * n + near)


def test_every_sign_of_a_long_pattern_counts() -> None:
    said = why({"pattern": f"f({'aa + ' * 60}$A)"}, f"f(x)\ng(1, 2, aa{' + aa' * 60})\n")
    assert "at line 2" in said


def test_utils_are_followed_three_deep_and_only_where_they_are_named() -> None:
    utils = {f"u{n}": {"matches": f"u{n + 1}"} for n in range(4)} | {"u4": {"pattern": "deep($A)"}}
    assert "deep" in why({"matches": "u2"}, "f(1)\n", utils=utils)
    assert "deep" not in why({"matches": "u0"}, "f(1)\n", utils=utils)
    assert "`u4`" in why({"pattern": "u4"}, "f(1)\n", utils=utils)
    assert not why({"pattern": "u4"}, "f(1)\n", utils=utils).startswith("util")


def test_a_long_node_is_compared_by_its_beginning() -> None:
    code = f"call_me(1, {'9, ' * 200}2)\nzzz()\n"
    assert "at line 1" in why({"pattern": "call_me(1, $A)"}, code)


def test_the_rule_of_several_that_matched_nothing_is_named_and_sees_what_came_before() -> None:
    second = {"rule": {"pattern": "g($A)"}, "fix": "h($A)"}
    assert why({"pattern": "f($A)"}, "f(1)\n", second).startswith("document 2: ")
    assert why({"pattern": "f($A)"}, "f(1)\ng(1)\n", second) == ""
    said = no_match.explain(
        Action("python", ({"rule": {"pattern": "f($A)"}, "fix": "k($A)"}, second)), "f(1)\n"
    )
    assert "`k(1)`" in said


def test_constraints_and_comments_are_told_with_their_numbers() -> None:
    one = why({"pattern": "f($A)"}, "f(1)\n", constraints={"A": {"regex": "z"}})
    assert one.startswith("the rule matches once, but `constraints` leave none: at line 1 $A is `1`")
    two = why({"pattern": "f($A)"}, "\nf(1)\nf(2)\n", constraints={"A": {"regex": "z"}})
    assert two.startswith("the rule matches 2 times") and "at line 2 $A is `1`" in two
    said = why({"pattern": "f($A)"}, "# ast-grep-ignore\n\nf(1)\nf(2)\n")
    assert said == "all 2 matches are suppressed by `ast-grep-ignore` comments"
