"""What the text of a rule tells of other places, rule by rule, each with a neighbor that is trusted."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.mining.rules import specificity


def rule(old: str, new: str, **more: Any) -> dict[str, Any]:
    return {"rule": {"pattern": old, **more}, "fix": new}


UNLIKE = "nothing of what it takes away stays"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        # Several words become others, and nothing stays.
        ("a1 + b1", "c1", UNLIKE),
        ("a1", "c1", ""),
        ("a1(b1)", "c1", ""),
        ("a1 + b1", "a1 + c1", ""),
        ("$A + b1", "c1($A)", ""),
        ("a1 + b1", "", ""),
        # A word of the language comes or goes, and no name is asked for.
        ("return $A", "$A", "it asks for no name"),
        ("return $A", "return await $A", "it asks for no name"),
        ("return f($A)", "f($A)", ""),
        # So do words that say who may use a declaration, and how; a type that every file has says nothing.
        ("export function $A($B: $C) { $$$D }", "function $A($B: $C) { $$$D }", "it asks for no name"),
        ("export const $A;", "const $A;", "it asks for no name"),
        ("function $A() {}", "export function $A() {}", "it asks for no name"),
        ("private String $A;", "private final String $A;", "it asks for no name"),
        ("var $A: Int", "lateinit var $A: Int", "it asks for no name"),
        ("internal $A", "public $A", "it asks for no name"),
        ("private Logger $A;", "private final Logger $A;", ""),
        ("@Test public void $A() { $$$B }", "@Test void $A() { $$$B }", ""),
        ("$A + $B", "$A - $B", ""),
        # A word in quotes.
        ("'old'", "'fresh'", "a word in quotes may mean anything"),
        ("'old_one'", "'fresh_one'", ""),
        ("old", "fresh", ""),
        # A type that every file has.
        ("Object", "Cart", "`Object` may be anything elsewhere"),
        ("Object", "string", "`Object` may be anything elsewhere"),
        ("Basket", "Cart", ""),
        # A member that is dropped.
        ("$A.value", "$A", "what it drops is a member"),
        ("$A?.value", "$A", "what it drops is a member"),
        ("$A.value", "$A.text", ""),
    ],
)
def test_a_rule_that_tells_too_little(old: str, new: str, why: str) -> None:
    told = specificity.why_vague(rule(old, new))
    assert told.startswith(why) and bool(told) is bool(why)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        # Only a number becomes another one.
        ("f(3.11)", "f(3.12)", "only a number in it changes"),
        ("f(3.11)", "g(3.12)", ""),
        # A path.
        ("'./old.js'", "'./fresh.js'", "a path depends on its file"),
        ("'old.js'", "'fresh.js'", ""),
        # What is another thing in each place.
        ("old($A)", "self.old($A)", "`self` is another thing elsewhere"),
        ("self.old($A)", "self.fresh($A)", ""),
        ("kit", "$crate", "`$crate` stands in a macro only"),
        ("$crate::old", "$crate::fresh", ""),
    ],
)
def test_what_depends_on_its_place_even_in_the_same_code(old: str, new: str, why: str) -> None:
    told = specificity.why_context_dependent(rule(old, new))
    assert told.startswith(why) and bool(told) is bool(why)


def test_a_word_is_one_of_a_text_by_the_kind_of_its_node_too() -> None:
    for kind, told in (("string_content", True), ("identifier", False)):
        assert bool(specificity.why_vague({"rule": {"kind": kind, "regex": "^old$"}, "fix": "fresh"})) is told


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("#[$A($B, dead_code)]", "#[$A($B)]", "a part of an attribute goes"),
        ("#[$A(dead_code)]", "#[$A(unused)]", ""),
        ("old($A)", "checked(old($A))", "something is put around it"),
        ("$A.push", "$A!.push", "signs are put beside it"),
        ("$A.size", "$B.size", "a member of anything is meant"),
        ("$A.size()", "size($A)", "a member of anything is meant"),
        ("$A.size(1)", "size($A)", ""),
        ("$A and ready", "$A", "a part of a condition goes"),
        ("f($A || $B)", "f($A)", "a part of a condition goes"),
        ("$A and ready", "$A or ready", ""),
        ("f($A, ready)", "f($A)", ""),
        ("LIMIT", "'limit'", "a text stands for a name"),
        ("LIMIT", "MOST", ""),
        ("f(1)", "g('a text')", "a text comes in"),
        ("f(1)", "g('text')", ""),
        ("f('a text')", "g('a text')", ""),
    ],
)
def test_what_one_place_alone_does_not_tell(old: str, new: str, why: str) -> None:
    assert specificity.why_one_place_is_too_few(rule(old, new)) == why
