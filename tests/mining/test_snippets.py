"""How a piece of code is said to be a node of a kind: by itself, in a snippet, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.languages import Language
from rulewright.mining.text.snippets import parses_as, selector_rule


@pytest.mark.parametrize(
    ("pattern", "kind", "language", "strict", "rule"),
    [
        ("f($A)", "call", "python", False, {"pattern": "f($A)"}),
        ("f($A)", "call", "python", True, {"pattern": "f($A)"}),
        # A statement that is but an expression: either, or the statement only.
        ("f($A)", "expression_statement", "python", False, {"pattern": "f($A)"}),
        ("f($A)", "expression_statement", "python", True,
         {"pattern": {"context": "f($A)", "selector": "expression_statement"}}),
        # A variable alone has no kind of its own.
        ("$A", "call", "python", False, {"kind": "call", "pattern": "$A"}),
        ("$$$A", "argument_list", "python", False, {"kind": "argument_list", "pattern": "$$$A"}),
        ("a=$A", "keyword_argument", "python", False,
         {"pattern": {"context": "f(a=$A)", "selector": "keyword_argument"}}),
        ("int a = $A;", "field_declaration", "java", False,
         {"pattern": {"context": "class C { int a = $A; }", "selector": "field_declaration"}}),
        # Two statements are none; nor is what no snippet takes, nor what does not parse.
        ("f($A)\ng($A)", "call", "python", False, None),
        ("f($A)", "class_definition", "python", False, None),
        ("f($A", "call", "python", False, None),
    ],
)  # fmt: skip
def test_the_rule_for_a_pattern_of_a_kind(
    pattern: str, kind: str, language: Language, strict: bool, rule: dict[str, Any] | None
) -> None:
    assert selector_rule(pattern, kind, language, strict=strict) == rule
    if not strict:
        assert selector_rule(pattern, kind, language) == rule


def test_a_snippet_in_which_the_code_itself_is_of_another_kind_is_not_tried() -> None:
    assert selector_rule("a=$A", "keyword_argument", "python", literal="a=1") is not None
    assert selector_rule("a=$A", "keyword_argument", "python", literal="a; b") is None


@pytest.mark.parametrize(
    ("text", "kind", "language", "wanted"),
    [
        ("f(1)", "call", "python", True),
        ("a=1", "keyword_argument", "python", True),
        ("a=1", "dictionary", "python", False),
        ("f(1", "call", "python", False),
        ("case 1: f()", "switch_case", "javascript", True),
        ("int a;", "field_declaration", "java", True),
    ],
)
def test_whether_a_text_is_of_a_kind_somewhere(
    text: str, kind: str, language: Language, wanted: bool
) -> None:
    assert parses_as(text, kind, language) is wanted
