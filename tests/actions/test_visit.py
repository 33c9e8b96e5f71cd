"""The walk over rules and the lexer for their texts."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.actions import visit

RULE: dict[str, Any] = {
    "pattern": "a($A)",
    "all": [{"kind": "call"}, {"any": [{"pattern": "b"}, {"matches": "util"}]}],
    "not": {"has": {"regex": "c", "stopBy": {"kind": "block"}}},
    "nthChild": {"position": 1, "ofRule": {"pattern": "d"}},
}


def test_every_rule_object_is_visited_once_wherever_it_stands() -> None:
    found = [next(iter(rule)) for rule in visit.objects(RULE)]
    assert found == ["pattern", "kind", "any", "pattern", "matches", "has", "regex", "kind", "pattern"]


def test_required_is_what_every_match_must_meet() -> None:
    assert [next(iter(rule)) for rule in visit.required(RULE)] == ["pattern", "kind", "any"]


def test_own_adds_what_a_match_may_meet_and_follows_names_that_go_round() -> None:
    utils = {"util": {"any": [{"pattern": "e"}, {"matches": "util"}]}}
    patterns = [rule["pattern"] for rule in visit.own(RULE, utils, depth=2) if "pattern" in rule]
    assert patterns == ["a($A)", "b", "e", "e"]


def test_texts_passes_over_the_keys_it_is_told_to() -> None:
    rule = {"rule": {"pattern": {"context": "f($A)", "selector": "call"}}, "fix": "g($A)"}
    assert list(visit.texts(rule, skip={"selector"})) == [("context", "f($A)"), ("fix", "g($A)")]


@pytest.mark.parametrize(
    ("fix", "text"),
    [("a", "a"), ({"template": "b"}, "b"), ([{"template": "c"}, {"template": "d"}], "c"), ([], "")],
)
def test_the_template_of_a_fix_in_every_form(fix: Any, text: str) -> None:
    assert visit.template_of(fix) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("$A.b", ["$A", ".", "b"]),
        ("f($$$ARGS, $$$, $_)", ["f", "(", "$$$ARGS", ",", "$$$", ",", "$_", ")"]),
        ("x = 'a b' + 1.5e3", ["x", "=", "'a b'", "+", "1.5e3"]),
        ("$lower", ["$", "lower"]),
        ("größe", ["größe"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert visit.tokens(text) == tokens


def test_numbering_renames_what_binds_and_nothing_else() -> None:
    numbering = visit.Numbering()
    assert numbering.text("$B + $A + $$$B + $_B") == "$V1 + $V2 + $$$V1 + $_B"
    assert numbering.name("A") == "V2"
    assert visit.binds("$A") and not visit.binds("$_A $$$ $lower")


@pytest.mark.parametrize("text", ["a.b(c)\n", "x*?[1]{2}|^$#&~", "-", r"\d"])
def test_an_escaped_text_reads_back(text: str) -> None:
    assert visit.unescaped(f"^{visit.regex_escape(text)}$").replace("n", "\n") == text.replace("n", "\n")
