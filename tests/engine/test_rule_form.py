"""What a rule shows by its own text: parts that exclude each other, its variables, what it needs the CLI for."""

# ruff: noqa: E501  (tables of cases read best unbroken)
from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.engine import apply, audit, judge, patterns
from rulewright.engine.rules import compile_rule
from rulewright.languages import Language
from rulewright.verdict import Verdict

CALL, STRING, ANY = {"kind": "call"}, {"kind": "string"}, {"regex": "a"}


@pytest.mark.parametrize(
    ("rule", "utils", "excludes"),
    [
        ({"kind": "call", "pattern": "f($A)"}, {}, False),
        ({"kind": "string", "pattern": "f($A)"}, {}, True),
        ({"all": [CALL, STRING]}, {}, True),
        ({"all": [CALL, CALL]}, {}, False),
        ({"any": [CALL, STRING]}, {}, False),
        ({"kind": "call", "any": [CALL, STRING]}, {}, False),
        ({"kind": "list", "any": [CALL, STRING]}, {}, True),
        ({"kind": "list", "any": [CALL, ANY]}, {}, False),
        ({"kind": "string", "matches": "u"}, {"u": CALL}, True),
        ({"kind": "call", "matches": "u"}, {"u": CALL}, False),
        ({"kind": "string", "all": [{"matches": "u"}]}, {"u": {"matches": "v"}, "v": CALL}, True),
        ({"kind": "string", "has": CALL}, {}, True),  # only an interpolation has one
        ({"kind": "string", "has": {**CALL, "stopBy": "end"}}, {}, False),
        ({"kind": "string", "not": CALL}, {}, False),
        ({"kind": "string", "pattern": {"context": "f($A)", "strictness": "template"}}, {}, False),
        ({"kind": "string", "pattern": {"context": "f($A)", "strictness": "ast"}}, {}, True),
        ({"kind": "string", "pattern": "$A"}, {}, False),
    ],
)
def test_parts_that_exclude_each_other(rule: dict[str, Any], utils: dict[str, Any], excludes: bool) -> None:
    given = {"rule": rule, **({"utils": utils} if utils else {})}
    found = [one.kind for one in audit.form(Action("python", (given,)))]
    assert found == (["matches-nothing"] if excludes else [])


@pytest.mark.parametrize(
    ("fix", "cases", "kinds"),
    [
        ("f($A)", ["f(1)"], set()),  # writes itself
        ("g($A)", ["f(f(f(f(f(1)))))"], set()),  # five passes are enough for five levels
        ("g($A)", ["f(" * 20 + "1" + ")" * 20], set()),  # more levels take more
        ("f($A, 1)", ["f(1)"], set()),
        ("f(f($A))", ["f(1)"], {"no-rest"}),
    ],
)
def test_a_rule_comes_to_rest_while_it_finds_less_and_less(
    fix: str, cases: list[str], kinds: set[str]
) -> None:
    action = Action("python", ({"rule": {"pattern": "f($A)"}, "fix": fix},))
    found = [one for code in cases for one in audit.effects(action, code, "x", whole_file=False)]
    assert {one.kind for one in found} == kinds
    assert not found or found[0].detail == "after 5 passes it still changes what it wrote"


@pytest.mark.parametrize("whole", [True, False])
def test_a_case_of_a_test_may_be_replaced_as_a_whole(whole: bool) -> None:
    action = Action("python", ({"rule": {"kind": "module"}, "fix": "z" * 70},))
    found = [one.kind for one in audit.effects(action, "aaaa()\n", "x", whole_file=whole)]
    assert ("degenerate" in found) is whole


@pytest.mark.parametrize(
    ("language", "pattern", "broken", "kind"),
    [
        ("python", "f($A)", False, "call"),
        ("python", "f(", True, None),
        ("python", "$A", False, None),
        ("javascript", "a = 1", False, "assignment_expression"),
        ("go", "f($A)", True, "call_expression"),
        ("rust", "f($A)", True, "call_expression"),
    ],
)
def test_what_a_pattern_says(language: Language, pattern: str, broken: bool, kind: str | None) -> None:
    facts = patterns.facts(pattern, None, language)
    assert (facts.broken, facts.root_kind) == (broken, kind)


@pytest.mark.parametrize(
    ("language", "pattern", "source"),
    [
        ("python", "f($A)", "f(µA)"),
        ("python", "f($$$A)", "f(µµµA)"),
        ("python", "f($$$)", "f(µµµ)"),
        ("python", "f($a, '$5')", "f($a, '$5')"),
        ("python", "f($$)", "f($$)"),
        ("python", "f($_)", "f(µ_)"),
        ("javascript", "f($A)", "f($A)"),
        ("c", "f($A)", "f(𐀀A)"),
    ],
)
def test_the_text_that_is_parsed_for_a_pattern(language: Language, pattern: str, source: str) -> None:
    assert patterns.to_source(pattern, language) == source


@pytest.mark.parametrize(
    ("pattern", "variables", "repeated"),
    [
        ("f($A, $B)", {"A", "B"}, set()),
        ("f($A, $A)", {"A"}, {"A"}),
        ("f($_, $A)", {"A"}, set()),
        ("f($_A)", set(), set()),
        ("f($$$)", set(), set()),
        ("f($$$_X)", set(), set()),
        ("f($$$X)", {"X"}, set()),
        ("f(x)", set(), set()),
    ],
)
def test_the_variables_of_a_pattern(pattern: str, variables: set[str], repeated: set[str]) -> None:
    facts = patterns.facts(pattern, None, "python")
    assert (set(facts.variables), set(facts.repeated)) == (variables, repeated)
    assert facts.words <= set("fx(),"), "no variable is a word, whether it captures or not"


CLI = [
    ({"rule": {"pattern": "f($A)"}, "fix": "g($A)"}, ""),
    ({"rule": {"kind": "call"}, "fix": {"template": "x", "expandEnd": {"regex": ","}}}, ""),
    ({"rule": {"kind": "call"}, "fix": {"template": "x", "expandEnd": {"pattern": "$B"}}}, "a variable inside"),
    ({"rule": {"kind": "call"}, "utils": {"u": {"kind": "call"}},
      "fix": {"template": "x", "expandStart": {"matches": "u"}}}, "a util inside"),
    ({"rule": {"pattern": "f($A)"}, "fix": "$C",
      "rewriters": [{"id": "r", "rule": {"kind": "integer", "pattern": "$N"}, "fix": "<$N>"}],
      "transform": {"C": {"rewrite": {"source": "$A", "rewriters": ["r"]}}}}, ""),
    ({"rule": {"pattern": "f($A)"}, "fix": "$C",
      "rewriters": [{"id": "r", "rule": {"kind": "integer", "pattern": "$A"}, "fix": "<$A>"}],
      "transform": {"C": {"rewrite": {"source": "$A", "rewriters": ["r"]}}}}, "a rewriter that shares $A"),
    ({"rule": {"pattern": "f($A)"}, "fix": "$D",
      "rewriters": [{"id": "r", "rule": {"kind": "integer", "pattern": "$N"}, "fix": "<$N>"}],
      "transform": {"C": {"rewrite": {"source": "$A", "rewriters": ["r"]}},
                    "D": {"replace": {"source": "$C", "replace": "a", "by": "b"}}}}, "reads a rewrite result"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "reason"), CLI)
def test_what_only_the_command_line_does(rule: dict[str, Any], reason: str) -> None:
    needs = compile_rule(rule, "python").needs_cli
    assert reason in needs if reason else needs == ""


F: dict[str, Any] = {"rule": {"pattern": "f($A)"}}
MANY = ", ".join(f"$A{n}" for n in range(20))
NUMBER: dict[str, Any] = {"id": "r", "rule": {"kind": "integer", "pattern": "$N"}, "fix": "<$N>"}


def _rewritten(source: str, rewriter: str) -> dict[str, Any]:
    return {"transform": {"C": {"rewrite": {"source": source, "rewriters": [rewriter]}}}}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": {"kind": "nope"}}, "kind `nope` does not exist in python; did you mean `none`?"),
        ({"rule": {"kind": "call"}, "utils": {"u": {"kind": "nope"}}}, "`utils`: kind `nope` does not exist"),
        ({"rule": {"kind": "call", "nthChild": "x"}}, "`nthChild`: Illegal character x"),
        ({"rule": {"kind": "call_expression"}}, "kind `call_expression` does not exist in python; did you mean `call`?"),
        ({"rule": {"kind": "call", "has": {"field": "nme", "kind": "call"}}}, "field `nme` does not exist"),
        ({"rule": {"kind": "call", "has": {"stopby": "end"}}}, "a rule has no matcher: unknown field `stopby` in `has`; did you mean `stopBy`?"),
        ({"rule": {"kind": "call", "has": {}}}, "a rule has no matcher; write at least one of pattern, kind"),
        ({"rule": {"kind": "call", "regex": "(?=a)"}}, "regex is not valid (Rust syntax"),
        ({"rule": {"patern": "f()"}}, "unknown field `patern` in a rule; did you mean `pattern`?"),
        ({"rule": {"pattern": "f(); g()"}}, "the pattern `f(); g()` is several nodes"),
        ({"rule": {"pattern": "$A"}}, "the pattern `$A` is not complete code of one kind"),
        ({"rule": {"regex": "a"}}, "the rule must say which node kinds it matches"),
        ({"rule": {"matches": "u"}}, "util `u` is not defined; neither the rule's `utils` nor"),
        ({}, "`rule` must be a mapping, got nothing (null)"),
        ({**F, "fixx": "x"}, "unknown field `fixx`; did you mean `fix`?"),
        ({**F, "utils": ["u"]}, "`utils` must be a mapping, got a list"),
        ({**F, "constraints": ["A"]}, "`constraints` must be a mapping, got a list"),
        ({**F, "constraints": {"B": {"kind": "call"}}}, "undefined variable `$B` in `constraints` (defined: $A)"),
        ({**F, **_rewritten("$B", "r"), "rewriters": [NUMBER]}, "undefined variable `$B` in `transform`"),
        # ast-grep names any one of several.
        ({**F, "constraints": {f"B{n}": {"kind": "call"} for n in range(20)}}, "undefined variable `$B0` in `constraints`"),
        ({**F, "utils": {f"u{n}": {"kind": f"w{n}"} for n in range(20)}}, "`utils`: kind `w0` does not exist"),
        ({"rule": {"pattern": f"f({MANY})"}, "constraints": {f"A{n}": {"kind": f"w{n}"} for n in range(20)}}, "`constraints`: kind `w0` does not"),
        ({**F, "utils": {"u": {"matches": "v"}, "v": {"matches": "u"}}}, "`utils`: a cyclic dependency among `u`, `v`"),
        ({**F, "transform": {"B": "replace($C, replace=a, by=b)", "C": "replace($B, replace=a, by=b)"}}, "`transform`: a cyclic dependency among `B`, `C`"),
        ({**F, "transform": {f"C{n}": f"replace($B{n}, replace=a, by=b)" for n in range(20)}}, "undefined variable `$B0` in `transform`"),
        ({**F, "fix": "$B"}, "undefined variable `$B` in `fix` (defined: $A)"),
        ({**F, "fix": 3}, "`fix` must be text, a mapping or a list, got a number (3)"),
        ({**F, "fix": {"tmplate": "x"}}, "`fix` needs a text `template`; unknown field `tmplate`"),
        ({**F, "fix": {"template": "x", "title": 3}}, "`title` must be text, got a number (3)"),
        ({**F, "fix": {"template": "x", "expandEnd": "y"}}, '`expandEnd` must be a rule, got text ("y")'),
        ({**F, "fix": {"template": "x", "expandEnd": {"kind": "nope"}}}, "`expandEnd`: kind `nope` does not"),
        ({**F, "fix": [{"template": "x"}]}, "`fix` 1: in a list each fix is a mapping with `title` and"),
        ({**F, "fix": [{"title": "a", "template": "x"}, {"title": "b"}]}, "`fix` 2: `fix` needs a text"),
        ({**F, "rewriters": {}}, "`rewriters` must be a list, got a mapping"),
        ({**F, "rewriters": [NUMBER, {"rule": {}}]}, "rewriter 2: a rewriter is a mapping with `id`, `rule`"),
        ({**F, "rewriters": [{**NUMBER, "fix": None}]}, "rewriter `r`: it needs a `fix`"),
        ({**F, "rewriters": [{**NUMBER, "fix": "$M"}]}, "rewriter `r`: undefined variable `$M` in `fix`"),
        ({**F, **_rewritten("$A", "s"), "rewriters": [NUMBER]}, "undefined rewriter `s`"),
        ({**F, "rewriters": [{**NUMBER, **_rewritten("$N", "s")}]}, "rewriter `r`: undefined rewriter `s`"),
    ],
)  # fmt: skip
def test_a_rule_that_ast_grep_refuses_is_told_what_to_mend(rule: dict[str, Any], told: str) -> None:
    outcome = apply(Action("python", ({"fix": "x", **rule},)), "f(1)\n")
    assert outcome.verdict is Verdict.BAD_RULE and outcome.detail.startswith(told)


def test_an_empty_fix_means_what_it_drops_and_a_fix_of_blanks_too() -> None:
    for fix, verdict in (("", Verdict.OK), (" ", Verdict.OK), ("x()", Verdict.LOSSY)):
        rule = {"rule": {"kind": "assert_statement"}, "fix": fix}
        assert judge(Action("python", (rule,)), "b = 1\nassert a, c\n").verdict is verdict, fix
        # A pattern says how much of the match is meant.
        for code, covered in (("b = 1\nassert a\n", True), ("b = 1\nassert a, c\n", False)):
            outcome = judge(Action("python", ({"rule": {"pattern": "assert $A"}, "fix": fix},)), code)
            assert (outcome.verdict is Verdict.LOSSY) is not covered, (fix, code)


def test_a_loss_is_told_with_its_line_and_cut() -> None:
    rule = {"rule": {"pattern": "import $A"}, "fix": "import new"}
    outcome = judge(Action("python", (rule,)), f"x = 1\nimport a, {'b' * 70}\n")
    assert outcome.verdict is Verdict.LOSSY and outcome.detail.startswith("line 2: the match holds ")
    assert f"'{'b' * 57}...' (dotted_name)" in outcome.detail
