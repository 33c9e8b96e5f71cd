"""The grammar of mode `rule`: what it lists exists, what it forbids is stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright.actions import Action, parse_action
from rulewright.engine import kinds
from rulewright.engine.schema import MAX_DEPTH, rule_schema
from rulewright.languages import LANGUAGES, Language

OURS = [language for language in LANGUAGES if language != "other"]


def _rule(**parts: Any) -> str:
    return json.dumps({"language": "Python", **parts}, separators=(",", ":"))


VALID = _rule(
    rule={"pattern": "foo($A)", "inside": {"kind": "call", "stopBy": "end", "field": "function"}},
    constraints={"A": {"regex": "^x"}},
    transform={"B": {"replace": {"source": "$A", "replace": "a", "by": "b"}}},
    fix="bar($B)",
)
WRONG = {
    "kind": _rule(rule={"kind": "calll"}, fix="x"),
    "key": _rule(rule={"patern": "foo"}, fix="x"),
    "language": VALID.replace('"Python"', '"Go"'),
    "depth": _rule(rule={"has": {"has": {"has": {"has": {"kind": "call"}}}}}, fix="x"),
}


@pytest.mark.parametrize("language", OURS)
def test_every_listed_kind_and_field_exists(language: Language) -> None:
    root = SgRoot("", language).root()
    found = kinds.names(language)
    # The grammar of Kotlin names few fields.
    assert len(found.kinds) > 80 and len(found.fields) > (3 if language == "kotlin" else 20)
    for kind in found.kinds:
        root.find({"rule": {"kind": kind}})
    for field in found.fields:
        root.find({"rule": {"regex": "x", "has": {"regex": "x", "field": field}}})


@pytest.mark.parametrize("language", OURS)
def test_the_schema_is_closed_finite_and_ordered(language: Language) -> None:
    schema = rule_schema(language)
    text = json.dumps(schema)
    assert "oneOf" not in text and f"rule{MAX_DEPTH + 1}" not in text
    top = schema["properties"]
    assert list(top) == ["id", "language", "rule", "utils", "constraints", "transform", "rewriters", "fix"]


def test_only_relations_to_what_is_inside_or_around_name_a_field() -> None:
    definitions = rule_schema("python")["$defs"]
    for name, has in (("within1", True), ("relation1", False), ("rule1", False)):
        assert ("field" in definitions[name]["properties"]) is has, name
    assert definitions["rule1"]["properties"]["follows"] == {"$ref": "#/$defs/relation1"}


def test_what_it_takes_parses() -> None:
    assert isinstance(parse_action(VALID, "python"), Action)


def test_llguidance_stops_at_the_wrong_token() -> None:
    llguidance = pytest.importorskip("llguidance", reason="pip install 'rulewright[grammar]'")
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(rule_schema("python")))
    tokenizer = llguidance.LLTokenizer("byte")
    assert llguidance.LLMatcher.validate_grammar(grammar, tokenizer) == ""

    def taken(text: str) -> int:
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        return int(matcher.validate_tokens(tokenizer.tokenize_str(text)))

    assert taken(VALID) == len(VALID)
    for name, text in WRONG.items():
        assert taken(text) < len(text), name
    assert WRONG["kind"][: taken(WRONG["kind"])].endswith('"call')


def test_xgrammar_stops_at_the_wrong_byte() -> None:
    xgrammar = pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")
    info = xgrammar.TokenizerInfo([bytes([i]) for i in range(256)], vocab_size=256)
    compiled = xgrammar.GrammarCompiler(info).compile_json_schema(
        json.dumps(rule_schema("python")), any_whitespace=False, separators=(",", ":")
    )

    def taken(text: str) -> bool:
        matcher = xgrammar.GrammarMatcher(compiled)
        return all(matcher.accept_token(byte) for byte in text.encode())

    assert taken(VALID)
    for name, text in WRONG.items():
        assert not taken(text), name
